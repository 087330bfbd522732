"""What the incidents and their indexes take, and how fast they can be opened."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from typing import Any

from django.db import connection
from django.db.models import GeneratedField

from config.database.statements import run
from config.tenancy.models import Tenant
from incidents.enums import Outcome
from incidents.models import Incident
from incidents.services import aggregation, rollup
from incidents.services.reports import Alert

AT_LEAST = 10_000
SIZE, BATCHES, ROUNDS, CALLERS = 1_000, 10, 3, 2


def measure_sizes() -> bool:
    """Prints what is on disk; whether the indexes together take less than the table."""
    ((table, indexes),) = run(
        "SELECT pg_table_size('incidents_incident'), pg_indexes_size('incidents_incident')", []
    )
    held = indexes < table
    print(
        f"\nincidents {table / 1e6:.0f} MB, their indexes {indexes / 1e6:.0f} MB "
        f"({indexes / table:.2f}){'' if held else '  MISSED'}"
    )
    for name, size in run(
        "SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes "
        "WHERE relname = 'incidents_incident' ORDER BY 2 DESC",
        [],
    ):
        print(f"   {name:40} {size / 1e6:6.0f} MB")
    for name, size, rows in run(
        "SELECT relname, pg_total_relation_size(oid), reltuples::bigint FROM pg_class "
        "WHERE relname LIKE 'incidents_rollup%%' AND relkind = 'r' OR relname = 'cube' ORDER BY 2",
        [],
    ):
        print(f"   {name:40} {size / 1e6:6.1f} MB {rows} rows")
    return bool(held)


def measure_opening() -> bool:
    """Opens incidents in bulk, through the service; whether it is fast enough with two callers.

    Every report opens an incident of its own kind, for tenants of their own; a thousand a batch
    and a transaction. Beside it the same rows, as many a transaction, go into a table with the
    good set of indexes and nothing else.
    """
    print(f"\nopening incidents, {SIZE:,} a batch, one commit each (a second)")
    tenants = [_tenant(number) for number in range(CALLERS * 2)]
    rates = {}
    for callers in (1, CALLERS):
        rates[callers] = statistics.median(_rate(tenants, callers) for _ in range(ROUNDS))
        print(f"   {f'ours, callers: {callers}':44} {rates[callers]:8,.0f}")
    print(f"   {'the same rows into the good indexes':44} {_bare_rate(tenants[0]):8,.0f}")
    held = rates[CALLERS] >= AT_LEAST
    print(f"   {f'bar: {AT_LEAST:,}':44} {'' if held else '  MISSED'}")
    rollup.fold()
    return held


def _tenant(number: int) -> Tenant:
    made: Tenant = Tenant.objects.create(
        pk=f"opening-{time.time_ns()}-{number}", incidents_per_hour=100_000
    )
    return made


def _rate(tenants: list[Tenant], callers: int) -> float:
    """Incidents a second, all callers together, each a process with tenants of its own."""
    connection.close()
    # Forked, so that a caller begins with everything imported.
    processes = multiprocessing.get_context("fork")
    ready, results = processes.Barrier(callers), processes.Queue()
    started = [
        processes.Process(target=_open, args=(tenants[place::callers], ready, results))
        for place in range(callers)
    ]
    for process in started:
        process.start()
    spans = [results.get(timeout=300) for _ in started]
    for process in started:
        process.join()
    seconds = max(end for _, end in spans) - min(start for start, _ in spans)
    return callers * BATCHES * SIZE / seconds


def _open(tenants: list[Tenant], ready: Any, results: Any) -> None:
    name = f"{time.time_ns()}-{os.getpid()}"
    batches = [_reports(f"{name}-{batch}") for batch in range(BATCHES + 2)]
    for batch in batches[:2]:  # statements are prepared, pages are read
        aggregation.absorb(tenant=tenants[0], alerts=batch)
    ready.wait()
    start = time.monotonic()
    for place, batch in enumerate(batches[2:]):
        absorbed = aggregation.absorb(tenant=tenants[place % len(tenants)], alerts=batch)
        assert absorbed.counts[Outcome.OPENED] == SIZE
    results.put((start, time.monotonic()))


def _reports(name: str) -> list[Alert]:
    return [
        Alert(
            trigger_type="failure_spike",
            group_key=f"{name}-{number}",
            call_id=f"{name}-{number}",
            error_message=f"No answer within 60 s of request {number}",
            category="execution_failure",
            cost_delta_cents="1.5",
        )
        for number in range(SIZE)
    ]


def _bare_rate(tenant: Tenant) -> float:
    columns = ", ".join(
        field.column
        for field in Incident._meta.concrete_fields
        if not isinstance(field, GeneratedField)
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare")
        cursor.execute("CREATE TABLE bare (LIKE good INCLUDING INDEXES)")
        cursor.execute(
            "SELECT DISTINCT created_at FROM incidents_incident WHERE tenant_id = %s", [tenant.pk]
        )
        rates = []
        for (created_at,) in cursor.fetchall():
            start = time.monotonic()
            cursor.execute(
                f"INSERT INTO bare ({columns}) SELECT {columns} FROM incidents_incident "
                "WHERE tenant_id = %s AND created_at = %s",
                [tenant.pk, created_at],
            )
            rates.append(cursor.rowcount / (time.monotonic() - start))
        cursor.execute("DROP TABLE bare")
    return statistics.median(rates)
