from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.factories import world
from tests.factories.tenancy import issue_key
from tests.factories.world import World


@pytest.fixture(autouse=True)
def _own_data_directory(settings: Any, tmp_path: Path) -> None:
    """The signing key of the bundles is made in the test's own directory."""
    settings.DATA_DIR = tmp_path / "data"
    settings.SIGNING_KEY = settings.SIGNING_KEY_FILE = ""


@pytest.fixture
def alpha(db: None) -> World:
    """The tenant whose objects are named."""
    return world.build("alpha")


@pytest.fixture
def caller(db: None) -> World:
    """A tenant that has nothing yet, with a key of all scopes."""
    key, plaintext = issue_key()
    return World(key.tenant, key.tenant.pk, plaintext)
