"""The statements that are sent to the database, through Django and past it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Those that are sent until the block ends."""
    plain = psycopg.Cursor.execute
    sent: list[str] = []

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(str(query))
        return plain(self, query, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        yield sent
