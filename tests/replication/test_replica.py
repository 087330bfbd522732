"""Reads from a streaming replica: two PostgreSQL servers, and Firebreak in front of them."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import connection

from config import clock
from tests import clusters
from tests.servers import HOST, database_url, free_port, granian, running

MAX_LAG = 2.0
TENANTS = ("one", "two")

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


@dataclass
class Pair:
    """The primary, its replica, and the port where Firebreak answers."""

    primary: psycopg.Connection[Any]
    replica: clusters.Replica
    port: int

    def get(self, tenant: str, path: str) -> Any:
        answer = requests.get(self._at(path), headers=self._headers(tenant), timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def report(self, tenant: str, call: str) -> None:
        answer = requests.post(
            self._at("alerts/"),
            json={"trigger_type": "failure_spike", "group_key": call, "call_id": call},
            headers=self._headers(tenant),
            timeout=60,
        )
        assert answer.status_code == 201, answer.text

    def settle(self) -> None:
        """Waits until the replica has all that was committed."""
        row = self.primary.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
        assert row is not None
        self.replica.await_position(row[0])

    def statements(self) -> int:
        """How many statements about incidents the replica was given."""
        return self.replica.log.read_text().count("incidents_incident")

    def _at(self, path: str) -> str:
        return f"http://{HOST}:{self.port}/api/v1/{path}"

    def _headers(self, tenant: str) -> dict[str, str]:
        return {"Authorization": f"Bearer key-of-{tenant}"}


@pytest.fixture(scope="module")
def pair(django_db_setup: None, django_db_blocker: Any) -> Iterator[Pair]:
    with (
        tempfile.TemporaryDirectory(prefix="fb-") as name,
        clusters.primary(Path(name) / "a") as url,
    ):
        directory = Path(name)
        clusters.copy_schema(database_url(connection.settings_dict), url)
        with psycopg.connect(url, autocommit=True) as primary:
            for tenant in TENANTS:
                _make_tenant(primary, tenant)
            replica = clusters.Replica(directory / "b", primary=directory / "a")
            port = free_port()
            environment = {
                "DEBUG": "0",
                "SECRET_KEY": "replica" * 8,
                "DATABASE_URL": url,
                "DATABASE_REPLICA_URL": replica.url,
                "DATABASE_REPLICA_MAX_LAG": str(MAX_LAG),
                "METRICS_DIR": os.fspath(directory / "metrics"),
            }
            try:
                with running(granian(port, workers=1), port, environment=environment):
                    yield Pair(primary, replica, port)
            finally:
                replica.kill()


def _make_tenant(primary: psycopg.Connection[Any], tenant: str) -> None:
    now = clock.now()
    primary.execute(
        "INSERT INTO tenancy_tenant (id, name, created_at) VALUES (%s, '', %s)", [tenant, now]
    )
    primary.execute(
        "INSERT INTO tenancy_apikey (id, tenant_id, name, prefix, digest, scopes, created_at,"
        " last_used_at) VALUES (%s, %s, 'test', %s, %s, %s, %s, %s)",
        [
            clock.uuid7(),
            tenant,
            tenant,
            hashlib.sha256(f"key-of-{tenant}".encode()).digest(),
            ["ingest", "read", "triage"],
            now,
            now,
        ],
    )


def test_replica_answers_what_it_has_and_nothing_of_another_tenant(pair: Pair) -> None:
    pair.report("one", "first")
    pair.report("two", "second")
    pair.report("two", "third")
    pair.settle()

    before = pair.statements()
    (mine,) = pair.get("one", "incidents/")["results"]
    assert mine["group_key"] == "first"
    assert len(pair.get("two", "incidents/")["results"]) == 2
    assert pair.get("one", f"incidents/{mine['id']}/")["id"] == mine["id"]
    assert pair.statements() >= before + 3

    # And by the database itself: the lesser role sees one tenant there, whatever is asked.
    with pair.replica.connect() as replica, replica.transaction():
        replica.execute("SELECT set_config('firebreak.tenant', 'one', true)")
        replica.execute("SET LOCAL ROLE firebreak_tenant")
        row = replica.execute("SELECT count(*) FROM incidents_incident").fetchone()
    assert row == (1,)


def test_replica_behind_answers_only_what_may_be_old_and_only_so_old(pair: Pair) -> None:
    pair.settle()
    before = pair.statements()
    deadline = time.monotonic() + 30
    while pair.statements() == before:  # until it is known to have caught up
        assert time.monotonic() < deadline
        time.sleep(0.2)
        total = pair.get("one", "insights/stats/")["total"]
    with pair.replica.connect() as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        try:
            pair.report("one", "while-it-is-paused")
            # Who wrote sees it, although the replica does not have it.
            assert "while-it-is-paused" in [
                row["group_key"] for row in pair.get("one", "incidents/")["results"]
            ]
            assert pair.get("one", "insights/stats/")["total"] == total
            deadline = time.monotonic() + 30
            while pair.get("one", "insights/stats/")["total"] == total:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            replica.execute("SELECT pg_wal_replay_resume()")


def test_replica_that_is_killed_is_missed_by_nobody(pair: Pair) -> None:
    pair.report("one", "before-it-dies")
    pair.settle()
    before = pair.get("one", "incidents/")["results"]
    pair.replica.kill()
    for _ in range(3):
        assert pair.get("one", "incidents/")["results"] == before
        assert pair.get("one", "insights/stats/")["total"] == len(before)
