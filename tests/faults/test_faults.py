"""A minute of mixed load with faults; ``run.py`` does it for as long as one likes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import connection

from tests.servers import ROOT, database_url

SECONDS = 60


@pytest.mark.django_db
@pytest.mark.timeout(600)
def test_every_promise_holds_after_a_minute_of_faults() -> None:
    like = database_url(connection.settings_dict)
    done = subprocess.run(
        [sys.executable, "tests/faults/run.py", "--seconds", str(SECONDS), "--like", like],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-20_000:]
    if "the disk is not filled" in done.stderr:
        pytest.skip("all but the full disk, which needs a file system of its own")
