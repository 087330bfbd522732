"""What the incidents and their indexes take, and how fast they can be opened."""

from __future__ import annotations

import statistics
import time

from config.database.statements import run
from config.tenancy.models import Tenant
from incidents.services import aggregation, rollup
from incidents.services.reports import Report

AT_LEAST = 10_000


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


def measure_opening(batches: int = 20, size: int = 1_000) -> bool:
    """Opens incidents in bulk, through the service; whether the median is fast enough."""
    tenant, _ = Tenant.objects.update_or_create(
        pk="tenant-200", defaults={"incidents_per_hour": 100_000}
    )
    run_name = f"{time.time_ns()}"
    rates = []
    for batch in range(batches):
        reports = [
            Report(
                trigger_type="failure_spike",
                group_key=f"{run_name}-{batch}-{number}",
                call_id=f"{run_name}-{batch}-{number}",
                error_message=f"No answer within 60 s of request {number}",
                category="execution_failure",
                cost_delta_cents="1.5",
            )
            for number in range(size)
        ]
        start = time.perf_counter()
        aggregation.absorb(tenant=tenant, alerts=reports)
        rates.append(size / (time.perf_counter() - start))
    held = statistics.median(rates) >= AT_LEAST
    print(
        f"\nopening incidents, {size} a batch, one commit each: median "
        f"{statistics.median(rates):,.0f}, slowest {min(rates):,.0f} a second"
        f"{'' if held else '  MISSED'}"
    )
    rollup.fold()
    return held
