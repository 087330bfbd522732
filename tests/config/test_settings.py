"""Settings as an operator meets them: what a production refuses to start without."""

from __future__ import annotations

import os
import subprocess
import sys

from django.db import connection

from tests.servers import ROOT, database_url

# The last is set by tests in a browser, for as long as the process that runs them lives.
OF_TESTS = ("DEBUG", "HTTPS", "DJANGO_ALLOW_ASYNC_UNSAFE")


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in OF_TESTS}
    kept |= {"DATABASE_URL": database_url(connection.settings_dict), "SECRET_KEY": ""}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_deploy_finds_nothing_in_a_production() -> None:
    key = "0aZ-" * 16 + "only a test"
    done = manage("check", "--deploy", "--fail-level", "WARNING", DEBUG="0", SECRET_KEY=key)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_production_without_a_secret_is_refused_in_one_line() -> None:
    done = manage("check", DEBUG="0")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith("SECRET_KEY must be set when DEBUG is 0.")


def test_every_mistake_in_the_environment_is_told_at_once() -> None:
    done = manage("check", PROXIES="many", REQUEST_LOCK_SECONDS="long")
    assert done.returncode != 0
    assert "PROXIES" in done.stderr
    assert "REQUEST_LOCK_SECONDS" in done.stderr
