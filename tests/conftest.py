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


# What migrations put there, and no test changes.
_KEPT = frozenset(
    {"auth_group", "auth_group_permissions", "auth_permission", "django_content_type"}
)


@pytest.fixture(scope="session", autouse=True)
def _flush_what_was_written() -> Iterator[None]:
    """Lets tests on real transactions empty the tables that the product never empties.

    Only the few that hold something: to truncate all of them, with their indexes, and to make
    permissions anew took most of the time of such a test.
    """
    from django.core.management.commands import flush
    from django.db.backends.postgresql.operations import DatabaseOperations

    plain, signal = DatabaseOperations.sql_flush, flush.emit_post_migrate_signal

    def sql_flush(self: Any, style: Any, tables: Any, **options: Any) -> list[str]:
        asked = [name for name in tables if name not in _KEPT]
        with self.connection.cursor() as cursor:
            cursor.execute(
                " UNION ALL ".join(
                    f"SELECT '{name}' WHERE EXISTS (SELECT FROM {self.quote_name(name)})"
                    for name in asked
                )
            )
            written = [name for (name,) in cursor.fetchall()]
            cursor.execute(
                "SELECT relname, tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "WHERE NOT tgisinternal AND tgenabled = 'A' AND relname = ANY(%s)",
                [written],
            )
            guards = cursor.fetchall()
        return [
            "SET LOCAL session_replication_role = replica",
            *(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}" for table, trigger in guards),
            *(f"DELETE FROM {self.quote_name(name)}" for name in written),
            *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}" for table, trigger in guards),
        ]

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]
    flush.emit_post_migrate_signal = lambda *args, **options: None
    yield
    DatabaseOperations.sql_flush = plain  # type: ignore[method-assign]
    flush.emit_post_migrate_signal = signal


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_hashed_at_once() -> Iterator[None]:
    """A hash tells how often it was repeated, so other processes take these as well."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    plain, PBKDF2PasswordHasher.iterations = PBKDF2PasswordHasher.iterations, 1
    yield
    PBKDF2PasswordHasher.iterations = plain


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
