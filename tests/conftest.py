"""One database per xdist worker, in the embedded PostgreSQL or the one that DATABASE_URL names.

PYTEST_DB_SUFFIX keeps apart runs that share a server: it is put behind the database's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made says how busy the machine is, not whether the code is right.
settings.register_profile("firebreak", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("firebreak")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """Put PYTEST_DB_SUFFIX behind the test database's name, after the worker's own suffix."""
    suffix = os.environ.get("PYTEST_DB_SUFFIX", "")
    if not suffix:
        return
    if not re.fullmatch(r"[A-Za-z0-9_]{1,30}", suffix):
        pytest.exit("PYTEST_DB_SUFFIX: 1 to 30 letters, digits and underscores.", returncode=4)

    from django.db import connections

    for connection in connections.all():
        test = connection.settings_dict["TEST"]
        name = test["NAME"] or f"test_{connection.settings_dict['NAME']}"
        test["NAME"] = f"{name}_{suffix}"


@pytest.fixture(scope="session", autouse=True)
def _flush_append_only_tables() -> Iterator[None]:
    """Lets tests on real transactions empty the tables that the product never empties."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    plain = DatabaseOperations.sql_flush

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname, tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "WHERE NOT tgisinternal AND tgenabled = 'A'"
            )
            guards = cursor.fetchall()
        return [
            "SET LOCAL session_replication_role = replica",
            *(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}" for table, trigger in guards),
            *plain(self, style, tables, **options),
            *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}" for table, trigger in guards),
        ]

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]
    yield
    DatabaseOperations.sql_flush = plain  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _reads_write_nothing() -> Iterator[None]:
    """Lets no GET request write, in any test: a replica would refuse it."""
    from config.api.views import TenantViewSet
    from config.database.statements import run

    plain = TenantViewSet.perform

    def perform(self: Any, handler: Any, request: Any) -> Any:
        def read(*args: Any, **kwargs: Any) -> Any:
            run("SET TRANSACTION READ ONLY", [], prepare=False)
            return handler(*args, **kwargs)

        reads = self.transactional and request.method in ("GET", "HEAD")
        return plain(self, read if reads else handler, request)

    TenantViewSet.perform = perform  # type: ignore[method-assign]
    yield
    TenantViewSet.perform = plain  # type: ignore[method-assign]
