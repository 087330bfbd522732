"""What has to change before Citus can distribute the tables by tenant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from config.database import cluster
from tests import clusters
from tests.servers import ROOT, database_url

SCRIPT = ROOT / "config" / "database" / "distribute.sql"
# Whole on every node; the script says why.
APART = {"tenancy_apikey", "tenancy_stafftenant", "operations_auditevent"}

WITHOUT_TENANT = """
SELECT c.relname, x.relname FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id'
WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique
    AND t.attnum <> ALL (i.indkey::int2[])
UNION ALL
SELECT c.relname, f.conname FROM pg_constraint f
JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id'
WHERE f.contype = 'f' AND t.attnum <> ALL (f.conkey)
    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p.oid AND a.attname = 'tenant_id')
"""


@pytest.fixture
def copy(db: None) -> Iterator[str]:
    """A database with the tables of the test's own; its DATABASE_URL."""
    settings = dict(connection.settings_dict)
    name = f"{settings['NAME']}_distributed"
    server = database_url(settings | {"NAME": "postgres"})
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        link.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        try:
            url = database_url(settings | {"NAME": name})
            clusters.copy_schema(database_url(settings), url)
            yield url
        finally:
            link.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def _distribute(url: str) -> None:
    psql = cluster.installation() / "bin" / "psql"
    options = ["-qX", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", os.fspath(SCRIPT)]
    subprocess.run([os.fspath(psql), *options, url], check=True)


def test_distribute_puts_the_tenant_into_every_key_and_the_product_works_on(copy: str) -> None:
    with psycopg.connect(copy, autocommit=True) as link:
        assert {table for table, _ in link.execute(WITHOUT_TENANT)} > APART
        _distribute(copy)
        assert {table for table, _ in link.execute(WITHOUT_TENANT)} == APART
        _distribute(copy)  # and changes nothing the second time

        link.execute("INSERT INTO tenancy_tenant (id, name, created_at) VALUES ('one', '', now())")
        link.execute("INSERT INTO tenancy_tenant (id, name, created_at) VALUES ('two', '', now())")
        alerts = [
            {"trigger_type": "failure_spike", "call_id": f"call-{n}", "run_id": "run-1"}
            for n in (1, 2, 2)
        ]
        subprocess.run(
            [sys.executable, "manage.py", "aggregate", "-", "--tenant", "one"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": copy},
            input="\n".join(map(json.dumps, alerts)),
            text=True,
            check=True,
            capture_output=True,
        )
        (incident, calls), *others = link.execute(
            "SELECT id, calls_affected FROM incidents_incident"
        ).fetchall()
        assert (calls, others) == (2, [])

        # What was said of one incident cannot be said in another tenant's name.
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            link.execute(
                "INSERT INTO incidents_incidentrun (tenant_id, run_id, incident_id) "
                "VALUES ('two', 'run-1', %s)",
                [incident],
            )
