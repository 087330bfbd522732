from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from exports.services.keys import KeyPair
from tests.config.api.conftest import api, call, tenant
from tests.factories.keys import key_pair

__all__ = ["api", "call", "tenant"]


@pytest.fixture(scope="session")
def key() -> KeyPair:
    return key_pair(7)


@pytest.fixture(autouse=True)
def data_directory(settings: Settings, tmp_path: Path) -> Path:
    """No key is configured, and none is made outside the test's own directory."""
    settings.DATA_DIR = tmp_path / "data"
    settings.SIGNING_KEY = settings.SIGNING_KEY_FILE = ""
    return settings.DATA_DIR
