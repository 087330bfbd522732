"""Backtests 90 days over a million alerts, beside a plain count of the same rows.

    DATABASE_URL=postgres://... python tests/benchmarks/bench_backtest.py [--alerts N] [--keep]

It makes a database of its own on that server and fills it: the tenant that is measured has the
million, nine others a twentieth of that each, all arriving at the same time. Each rule and the
count are measured in turns, within the role of a request, so that only the ratios count.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import database

NAME = "firebreak_bench_backtest"
TENANT = "t0"
DAYS = 90
RUNS = 7

RULES: dict[str, dict[str, str]] = {
    "one alert in six": {"error_code": "ERR1"},
    "one trigger": {"trigger_type": "trig1"},
    "one agent of fifty": {"agent_id": "agent7"},
    "a trigger and an error": {"trigger_type": "trig1", "error_code": "ERR1"},
    "all four fields": {
        "trigger_type": "trig1",
        "error_code": "ERR1",
        "category": "all",
        "agent_id": "agent1",
    },
    "every alert": {"category": "all"},
    "no alert": {"category": "none"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="use the data of the last time")
    options = parser.parse_args()
    database.set_up(NAME, keep=options.keep)
    if not options.keep:
        generate(options.alerts)
    measure()


def generate(alerts: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(
            "INSERT INTO tenancy_tenant (id, name, created_at) "
            "SELECT 't' || n, '', now() FROM generate_series(0, 9) n"
        )
        cursor.execute(INCIDENTS, {"incidents": alerts // 100})
        cursor.execute(ALERTS)
        cursor.execute("VACUUM (ANALYZE)")


# A hundred alerts each; one in a hundred incidents overflowed and mixes triggers, one in ten has
# alerts of another error too.
INCIDENTS = """
INSERT INTO incidents_incident (id, tenant_id, title, description, status, severity, category,
    trigger_type, group_key, cause_type, source_type, window_start, calls_affected, alerts_count,
    cost_delta_cents, escalation_base, agent_id, error_code, is_synthetic, started_at,
    last_seen_at, quiet_since, created_at, resolved_at, resolved_by, resolution_method,
    resolution_type)
SELECT gen_random_uuid(), 't' || t, 'Something broke', '', 'resolved', 1 + k %% 4, 'all',
    CASE WHEN k %% 100 = 0 THEN 'rate_limit_overflow' ELSE 'trig' || k %% 5 END, 'g' || k,
    'llm_run', CASE WHEN k %% 100 = 0 THEN 'overflow' ELSE 'alert' END, at, 100, 100, 125, 0,
    'agent' || k %% 50, 'ERR' || k %% 6, false, at, at + interval '1 hour',
    at + interval '1 hour', at, at + interval '2 hours', 'ops-key', 'manual',
    (ARRAY['real', 'false_positive', NULL])[1 + k %% 3]
FROM (
    SELECT t, k, now() - interval '90 days' * (1 - k::float8 / size) + interval '1 minute' AS at
    FROM (
        SELECT t, CASE WHEN t = 0 THEN %(incidents)s ELSE %(incidents)s / 20 END AS size
        FROM generate_series(0, 9) t
    ) tenants, generate_series(1, size) k
) made
"""

ALERTS = """
INSERT INTO incidents_alert (tenant_id, key, id, incident_id, outcome, trigger_type, group_key,
    call_id, occurred_at, created_at, cost_delta_cents, run_id, agent_id, model, error_code,
    error_message, category, is_synthetic)
SELECT i.tenant_id, gen_random_uuid(), gen_random_uuid(), i.id,
    CASE WHEN i.source_type = 'overflow' THEN 3 ELSE 2 END,
    CASE WHEN i.source_type = 'overflow' THEN 'trig' || n % 5 ELSE i.trigger_type END,
    i.group_key, i.tenant_id || '-call-' || i.group_key || '-' || n,
    i.started_at + interval '36 s' * n, i.started_at + interval '36 s' * n, 1.25,
    'run-' || i.group_key, i.agent_id, 'large-2',
    CASE WHEN substr(i.group_key, 2)::int % 10 = 0 AND n % 7 = 0 THEN 'ERR9'
        ELSE i.error_code END,
    'No answer within 60 s', i.category, false
FROM incidents_incident i, generate_series(0, 99) n
ORDER BY i.started_at + interval '36 s' * n
"""

COUNT = (
    "SELECT count(*) FROM incidents_alert "
    "WHERE tenant_id = %s AND occurred_at >= now() - make_interval(days => %s)"
)


def measure() -> None:
    from django.db import connection
    from rich.console import Console
    from rich.table import Table

    from config.tenancy import scope
    from config.tenancy.models import Tenant
    from incidents.services import backtest

    tenant = Tenant.objects.get(pk=TENANT)

    def count() -> int:
        with scope.tenant(TENANT), connection.cursor() as cursor:
            cursor.execute(COUNT, [TENANT, DAYS])
            return int(cursor.fetchone()[0])

    def tested(rule: dict[str, str]) -> backtest.Backtest:
        with scope.tenant(TENANT):
            return backtest.run(tenant=tenant, days=DAYS, **rule)

    works: list[Callable[[], Any]] = [count]
    works += [lambda rule=rule: tested(rule) for rule in RULES.values()]
    plain, *times = medians(works)
    table = Table(title=f"{DAYS} days over {count():,} alerts; a plain count takes {plain:.0f} ms")
    for column in ("rule", "alerts", "incidents", "ms", "ratio to the count"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for (name, rule), taken in zip(RULES.items(), times, strict=True):
        found = tested(rule)
        table.add_row(
            name,
            f"{found.alerts_prevented:,}",
            f"{found.incidents_prevented:,}",
            f"{taken:.0f}",
            f"{taken / plain:.2f}",
        )
    Console().print(table)


def medians(works: list[Callable[[], Any]]) -> list[float]:
    """Median milliseconds of each, measured in turns so that noise falls on all alike."""
    taken: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(RUNS):
        for times, work in zip(taken, works, strict=True):
            started = time.perf_counter()
            work()
            times.append((time.perf_counter() - started) * 1_000)
    return [statistics.median(times) for times in taken]


if __name__ == "__main__":
    main()
