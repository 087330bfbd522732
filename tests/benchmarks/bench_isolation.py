"""What isolation by the database costs a request: as a request runs, and as it would without.

    DATABASE_URL=postgres://... python tests/benchmarks/bench_isolation.py [ROUNDS]

It makes a database of its own on that server. Each round measures the same requests twice, in
this process and on one connection: in the tenant's role under its policies, and as the owner of
the tables with row security switched off on all of them. Only the ratios count.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import database

NAME = "firebreak_bench_isolation"
TENANTS = 10
INCIDENTS = 2_000
REQUESTS = 40

_numbers = itertools.count()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    database.set_up(NAME)
    measure(fill(), rounds)


def fill() -> str:
    """Ten tenants with their incidents; a key of the first."""
    from django.core.management import call_command
    from django.db import connection

    from config.actors import COMMAND_LINE
    from config.tenancy.models import Tenant
    from config.tenancy.services import keys
    from incidents.services import aggregation
    from incidents.services.reports import Report

    call_command("migrate", verbosity=0)
    _, key = keys.issue(by=COMMAND_LINE, tenant_id="t0", name="bench", scopes=["ingest", "read"])
    for place in range(TENANTS):
        Tenant.objects.update_or_create(id=f"t{place}", defaults={"incidents_per_hour": 100_000})
        tenant = Tenant.objects.get(id=f"t{place}")
        aggregation.absorb(
            tenant=tenant,
            alerts=[
                Report(trigger_type="odd", group_key=f"group-{number}")
                for number in range(INCIDENTS)
            ],
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    return key


@contextmanager
def without_isolation() -> Iterator[None]:
    """Every transaction is the owner's, and no table asks whose a row is."""
    from django.db import connection, transaction

    from config.database.statements import Statement, run
    from config.tenancy import scope

    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relforcerowsecurity")
        tables = [table for (table,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")

    @contextmanager
    def owner(
        tenant_id: str,
        *,
        plan_once: bool = False,
        durable: bool = True,
        asking: Statement | None = None,
        using: str | None = None,
    ) -> Any:
        with transaction.atomic(using=using):
            if plan_once:  # As readings are planned in a tenant's transaction.
                run("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)", [])
            yield run(*asking, using=using) if asking else []

    plain = scope.tenant
    scope.tenant = owner
    try:
        yield
    finally:
        scope.tenant = plain
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def measure(key: str, rounds: int) -> None:
    from django.test import Client
    from rich.console import Console
    from rich.table import Table

    client = Client(headers={"host": "localhost", "Authorization": f"Bearer {key}"})
    works: dict[str, Callable[[], Any]] = {
        "whoami": lambda: client.get("/api/v1/whoami/"),
        "list of incidents": lambda: client.get("/api/v1/incidents/?topic=active"),
        "count of incidents": lambda: client.get("/api/v1/incidents/count/"),
        "metrics over 30 days": lambda: client.get("/api/v1/insights/metrics/"),
        "one alert": lambda: client.post("/api/v1/alerts/", alert(), "application/json"),
        "a batch of 1,000": lambda: client.post(
            "/api/v1/alerts/batch/", batch(), "application/json"
        ),
    }
    taken: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for isolated in (True, False):
            if isolated:
                _round(works, isolated, taken)
            else:
                with without_isolation():
                    _round(works, isolated, taken)
    table = Table(title=f"Medians of {rounds} rounds of {REQUESTS} requests, in milliseconds")
    for column in ("request", "isolated", "without", "ratio"):
        table.add_column(column, justify="left" if column == "request" else "right")
    for name in works:
        isolated, without = (statistics.median(taken[name, kind]) for kind in (True, False))
        table.add_row(name, f"{isolated:.2f}", f"{without:.2f}", f"{isolated / without:.2f}")
    Console().print(table)


def _round(
    works: dict[str, Callable[[], Any]], isolated: bool, taken: dict[tuple[str, bool], list[float]]
) -> None:
    for name, work in works.items():
        requests = 5 if "batch" in name else REQUESTS
        for number in range(requests + 3):
            started = time.perf_counter()
            answer = work()
            seconds = time.perf_counter() - started
            assert answer.status_code in (200, 201), answer.content
            if number >= 3:  # The plans are made again after the tables were altered.
                taken.setdefault((name, isolated), []).append(seconds * 1_000)


def alert() -> bytes:
    return json.dumps(_alert()).encode()


def batch() -> bytes:
    return json.dumps({"alerts": [_alert() for _ in range(1_000)]}).encode()


def _alert() -> dict[str, str]:
    number = next(_numbers)
    return {"trigger_type": "flood", "group_key": f"g{number % 8}", "call_id": f"call-{number}"}


if __name__ == "__main__":
    main()
