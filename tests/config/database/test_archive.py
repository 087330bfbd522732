"""A backup of one server, restored on another that has never seen Firebreak."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from config.database import archive, embedded
from config.database.archive import ArchiveError
from incidents.models import Alert, Incident
from tests.config.database.test_embedded import home
from tests.factories.facts import alert, fail
from tests.factories.tenancy import TenantFactory
from tests.servers import ROOT, database_url

__all__ = ["home"]


@pytest.fixture
def source(db: None) -> dict[str, Any]:
    """The test database, which is only read."""
    if connection.pg_version // 10_000 != 18:  # type: ignore[attr-defined]
        pytest.skip("the programs are PostgreSQL 18's, as the embedded server is")
    return connection.settings_dict


@pytest.fixture
def fresh(home: Path) -> dict[str, Any]:
    return embedded.settings(home / "pg")


def ask(database: dict[str, Any], *statements: str) -> Any:
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"] or None,
        user=database["USER"],
        password=database["PASSWORD"] or None,
        dbname=database["NAME"],
    ) as asked:
        for statement in statements:
            cursor = asked.execute(statement.encode())
        return cursor.fetchall()


GUARDS = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relacl::text,
    array_agg(DISTINCT p.polname ORDER BY p.polname),
    array_agg(DISTINCT (t.tgname, t.tgenabled)::text) FILTER (WHERE NOT t.tgisinternal)
FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid LEFT JOIN pg_trigger t
    ON t.tgrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
GROUP BY c.oid ORDER BY 1
"""


@pytest.mark.django_db(transaction=True)
def test_restore_on_a_new_server_brings_rows_and_guards(
    source: dict[str, Any], fresh: dict[str, Any], tmp_path: Path
) -> None:
    tenant, other = TenantFactory.create(), TenantFactory.create()
    for owner in (tenant, other):
        alert(owner, call_id="1")
        fail(owner)
    path = tmp_path / "backup"
    with path.open("wb") as file:
        archive.write(source, file)
    assert archive.is_empty(fresh)
    archive.restore(fresh, path)
    assert not archive.is_empty(fresh)
    ((known, visible),) = ask(
        fresh, "SELECT reltuples, relallvisible FROM pg_class WHERE relname = 'incidents_alert'"
    )
    assert (known, visible) == (4, 1)

    if source["USER"] == fresh["USER"]:
        assert ask(fresh, GUARDS) == ask(source, GUARDS)
    assert ask(fresh, "SELECT id FROM incidents_alert ORDER BY id") == [
        (row.id,) for row in Alert.objects.order_by("id")
    ]
    seen = ask(
        fresh,
        f"SELECT set_config('firebreak.tenant', '{tenant.pk}', true)",
        "SET LOCAL ROLE firebreak_tenant",
        "SELECT DISTINCT tenant_id FROM incidents_incident",
    )
    assert seen == [(tenant.pk,)]
    assert ask(fresh, "SET LOCAL ROLE firebreak_tenant", "TABLE incidents_incident") == []
    with pytest.raises(psycopg.errors.CheckViolation, match="is refused"):
        ask(fresh, "DELETE FROM incidents_event RETURNING id")
    environment = {**os.environ, "DATABASE_URL": database_url(fresh)}
    for command in (["check_rollup"], ["migrate", "--check"]):
        subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True
        )

    # What is no archive, or a broken one, leaves the database as it was.
    whole = path.read_bytes()
    for broken in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(ArchiveError):
            archive.restore(fresh, path)
        assert ask(fresh, "SELECT count(*) FROM incidents_incident") == [
            (Incident.objects.count(),)
        ]
    names = ask(fresh, "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
    assert names == [("firebreak",), ("postgres",)]


@pytest.fixture
def embedded_settings(settings: Settings, tmp_path: Path) -> Settings:
    settings.DATABASE_URL = ""
    settings.DATA_DIR = tmp_path
    return settings


@pytest.mark.django_db(transaction=True)
def test_backup_writes_a_file_for_its_owner_alone(
    source: dict[str, Any], embedded_settings: Settings, tmp_path: Path
) -> None:
    said = StringIO()
    call_command("backup", str(tmp_path / "b"), stdout=said)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert f"{file.stat().st_size:,} bytes" in said.getvalue()
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("backup", str(tmp_path / "missing" / "b"))


@pytest.mark.django_db(transaction=True)
def test_restore_refuses_a_database_that_is_not_empty(
    source: dict[str, Any], embedded_settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="--overwrite"):
        call_command("restore", str(tmp_path / "b"))
    with pytest.raises(CommandError, match="no file"):
        call_command("restore", str(tmp_path / "b"), "--overwrite")


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_command_is_for_the_embedded_database(command: str, settings: Settings) -> None:
    settings.DATABASE_URL = "postgres://elsewhere"
    with pytest.raises(CommandError, match="DATABASE_URL"):
        call_command(command, "-")
