"""A database for the benchmark alone, on the server that DATABASE_URL names or the embedded one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dj_database_url
import psycopg

from tests.servers import ROOT, database_url

NAME = "firebreak_bench_ingest"


@contextmanager
def database() -> Iterator[str]:
    """A migrated database, dropped at the end; its DATABASE_URL."""
    settings: dict[str, Any]
    if os.environ.get("DATABASE_URL"):
        settings = dict(dj_database_url.parse(os.environ["DATABASE_URL"]))
    else:
        from config.database import embedded

        settings = embedded.settings(ROOT / ".data" / "pg")
    server = database_url(settings)
    url = database_url(settings | {"NAME": NAME})
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {NAME}")
        try:
            manage("migrate", "--verbosity", "0", url=url)
            yield url
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


def manage(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    """Runs a management command on the scratch database."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(url),
        check=True,
        capture_output=True,
        text=True,
    )


def environment(url: str) -> dict[str, str]:
    """What makes the product work on the scratch database, as in production but for its log."""
    product = {"DEBUG": "0", "SECRET_KEY": "benchmark" * 6, "LOG_LEVEL": "WARNING"}
    return {**os.environ, **product, "DATABASE_URL": url}


def make_tenant(tenant: str, *, url: str, **overrides: int) -> str:
    """Makes a tenant with these overrides; a key of all it needs."""
    key = manage("issue_api_key", tenant, "--scopes", "ingest,read", url=url)
    if overrides:
        sets = ", ".join(f"{name} = %s" for name in overrides)
        with psycopg.connect(url) as connection:
            connection.execute(
                f"UPDATE tenancy_tenant SET {sets} WHERE id = %s",  # type: ignore[arg-type]
                [*overrides.values(), tenant],
            )
    return key.stdout.splitlines()[-1]


def settle(url: str) -> None:
    """Gives every round the same start: nothing left to write back, statistics up to date."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def counts(tenant: str, *, url: str) -> dict[str, Any]:
    """What the database holds of a tenant."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(calls_affected), 0), coalesce(sum(alerts_count), 0), "
            "coalesce(sum(cost_delta_cents), 0)::text "
            "FROM incidents_incident WHERE tenant_id = %s",
            [tenant],
        ).fetchone()
    assert row is not None
    return json.loads(
        json.dumps(
            dict(zip(("incidents", "calls", "alerts", "cents"), row, strict=True)), default=int
        )
    )
