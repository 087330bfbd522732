"""Where a query goes: to the primary, or while a request may read elsewhere, to the replica.

The router serves the ORM; ``config.database.statements`` and ``config.tenancy.scope`` ask here
too, so that what a service reads by hand comes from the same place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS

REPLICA: Final = "replica"

_alias: ContextVar[str] = ContextVar("alias", default=DEFAULT_DB_ALIAS)


def current() -> str:
    """The alias of the database that this thread reads from now."""
    return _alias.get()


@contextmanager
def reading(alias: str) -> Iterator[None]:
    """Within, this thread reads from the database of that alias."""
    token = _alias.set(alias)
    try:
        yield
    finally:
        _alias.reset(token)


class Router:
    """Reads go where :func:`reading` says, writes to the primary, migrations to it alone."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str:
        return current()

    def db_for_write(self, model: type[Any], **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True  # they are the same rows

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == DEFAULT_DB_ALIAS
