from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from exports.services import keys


@pytest.fixture
def committed_keys(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Keys that other connections see; the table's triggers are off only while it is emptied."""
    with django_db_blocker.unblock():
        yield
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE exports_signingkey DISABLE TRIGGER USER")
            cursor.execute("DELETE FROM exports_signingkey")
            cursor.execute("ALTER TABLE exports_signingkey ENABLE TRIGGER USER")
        connection.close()


@pytest.mark.usefixtures("committed_keys")
def test_current_makes_one_key_when_many_ask_at_once(data_directory: Path) -> None:
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        try:
            together.wait()
            return keys.current().key_id
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(ask, range(8)))
    assert len(names) == 1
    assert [path.stem for path in (data_directory / "keys").iterdir()] == list(names)
    assert set(keys.installed()) == names
