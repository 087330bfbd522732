"""Reads a million incidents, beside the shapes that a careful hand would write in SQL.

    DATABASE_URL=postgres://... python tests/benchmarks/bench_reading.py [--incidents N] [--keep]

It makes a database of its own on that server, fills it (200 tenants by Zipf: the largest has 17
in 100), and measures everything for the largest tenant, each reading and its rivals in turn, so
that only the ratios count. The rivals stand on a copy of the table: "good" with the best indexes
for exact SQL over rows, "further" with keyset pages and a daily cube of counts and sums.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

Shape = Callable[[], Any]

NAME = "firebreak_bench_reading"
TENANTS = 200
DAYS = 100
LARGEST = "tenant-001"
RUNS = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="use the data of the last time")
    options = parser.parse_args()
    server = os.environ["DATABASE_URL"]
    parts = urlsplit(server)
    if not options.keep:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {NAME}")
    os.environ["DATABASE_URL"] = urlunsplit(parts._replace(path=f"/{NAME}"))
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    if not options.keep:
        generate(options.incidents)
    measure_sizes()
    measure_readings()
    measure_opening()


def generate(incidents: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from incidents.services import rollup

    step("migrated", lambda: call_command("migrate", verbosity=0))
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SELECT setseed(0.42)")
        cursor.execute(
            "INSERT INTO tenancy_tenant (id, name, created_at) "
            "SELECT 'tenant-' || lpad(n::text, 3, '0'), '', now() "
            f"FROM generate_series(1, {TENANTS}) n"
        )
        step("incidents inserted", lambda: cursor.execute(INCIDENTS, {"incidents": incidents}))
        step("events inserted", lambda: cursor.execute(EVENTS))
        step("changes folded", rollup.fold)
        step("rivals made", lambda: cursor.execute(RIVALS))
        step("vacuumed", lambda: cursor.execute("VACUUM (ANALYZE)"))
    step("sums proved", lambda: print("   differences:", rollup.differences()))


INCIDENTS = f"""
WITH shares AS (
    SELECT n, sum(1.0 / n) OVER (ORDER BY n) / sum(1.0 / n) OVER () AS upto,
        (sum(1.0 / n) OVER (ORDER BY n) - 1.0 / n) / sum(1.0 / n) OVER () AS from_
    FROM generate_series(1, {TENANTS}) n
), drawn AS MATERIALIZED (
    SELECT g, 'tenant-' || lpad(s.n::text, 3, '0') AS tenant,
        now() - interval '{DAYS} days' * (1 - g::float8 / %(incidents)s) AS started,
        random() AS a, random() AS b, random() AS c, random() AS d, random() AS e,
        exp(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS lognormal,
        exp(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS other
    FROM (
        -- Each tenant has exactly its share, spread over the whole time.
        SELECT g, ((g::bigint * 7919 + 104729) %% %(incidents)s)::float8 / %(incidents)s AS place
        FROM generate_series(1, %(incidents)s) g
    ) spread JOIN shares s ON spread.place >= s.from_ AND spread.place < s.upto
), made AS (
    SELECT *,
        CASE WHEN a < 0.35 THEN 'auto' WHEN a < 0.9 THEN 'manual' ELSE 'rollback' END AS method,
        -- What is not resolved after a quarter of an hour waits for a person.
        g > %(incidents)s * 0.9995 AND b < 0.6 OR b < 0.01 AS unresolved,
        CASE WHEN a >= 0.35 OR c < 0.1 THEN started + make_interval(secs => 400 * lognormal) END
            AS acknowledged,
        CASE WHEN a < 0.35 THEN started + make_interval(secs => 900 + 300 * other)
            ELSE started + make_interval(secs => 400 * lognormal + 3600 * other) END AS resolved,
        (ARRAY['execution_failure', 'rate_limit', 'budget_exceeded', 'content_policy',
            'resource_exhaustion', 'cost_anomaly', 'manual', NULL])[1 + floor(8 * d * d)::int]
            AS cat,
        (ARRAY['EXECUTION_TIMEOUT', 'AGENT_CRASH', 'RATE_LIMIT_EXCEEDED', 'STEP_FAILURE',
            'BUDGET_EXCEEDED', NULL])[1 + floor(6 * e)::int] AS code
    FROM drawn
)
INSERT INTO incidents_incident (id, tenant_id, title, description, status, severity, category,
    trigger_type, trigger_value, group_key, cause_type, source_type, window_start,
    calls_affected, alerts_count, cost_delta_cents, escalation_base, run_id, agent_id, model,
    error_code, error_message, metadata, is_synthetic, started_at, last_seen_at, quiet_since,
    created_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by, resolution_method,
    resolution_type)
SELECT gen_random_uuid(), tenant,
    'failure_spike: agent-' || (g %% 50) || ' failing on step ' || (g %% 1000),
    'Seen by the gateway of region ' || (g %% 7) || ' while calling tool ' || (g %% 113)
        || '; the last answer before it was complete.',
    CASE WHEN NOT unresolved THEN 'resolved' WHEN acknowledged < now() THEN 'acknowledged'
        ELSE 'open' END,
    CASE WHEN c < 0.4 THEN 1 WHEN c < 0.75 THEN 2 WHEN c < 0.95 THEN 3 ELSE 4 END,
    cat, 'failure_spike', '> ' || (g %% 40) || ' failures a minute',
    'agent-' || (g %% 50) || '/' || g,
    CASE WHEN d < 0.8 THEN 'llm_run' WHEN d < 0.97 THEN 'system' ELSE 'human' END, 'alert',
    date_trunc('minute', started), 1 + floor(30 * lognormal), 2 + floor(40 * lognormal),
    round((50 * lognormal)::numeric, 4), 0, 'run-' || (g / 3), 'agent-' || (g %% 50),
    'model-' || (g %% 9), code,
    'No answer from upstream ' || (g %% 300) || ' within 60 s: request '
        || md5(g::text) || ' gave up after three attempts, the last one with status 504',
    jsonb_build_object('region', 'r' || (g %% 7), 'attempt', g %% 5, 'queue', md5((g / 7)::text)),
    false, started, started + interval '2 minutes', started + interval '2 minutes', started,
    CASE WHEN unresolved AND acknowledged >= now() THEN NULL ELSE acknowledged END,
    CASE WHEN acknowledged < now() THEN 'ops-key' END,
    CASE WHEN NOT unresolved THEN resolved END, CASE WHEN NOT unresolved THEN 'ops-key' END,
    CASE WHEN NOT unresolved THEN method END, CASE WHEN NOT unresolved THEN 'real' END
FROM made ORDER BY g
"""

EVENTS = """
INSERT INTO incidents_event (id, tenant_id, incident_id, event_type, description, via, data,
    created_at)
SELECT gen_random_uuid(), tenant_id, id, 'resolved',
    'Resolved as real by ops-key. Restarted worker ' || (extract(epoch FROM created_at)::bigint
        % 97), 'ops-key', '{}', resolved_at
FROM incidents_incident WHERE status = 'resolved'
"""

RIVALS = """
CREATE TABLE good AS SELECT * FROM incidents_incident ORDER BY started_at;
CREATE INDEX ON good (tenant_id, started_at DESC, id DESC);
CREATE INDEX ON good (tenant_id, started_at DESC, id DESC) WHERE status <> 'resolved';
CREATE INDEX ON good (tenant_id, started_at) INCLUDE (severity, status, category, cause_type,
    resolution_method, created_at, acknowledged_at, resolved_at, calls_affected,
    cost_delta_cents);
CREATE INDEX ON good (tenant_id, category, resolution_method, started_at DESC) INCLUDE (id);
CREATE TABLE cube AS
    SELECT tenant_id, (started_at AT TIME ZONE 'UTC')::date AS day, severity, category,
        resolution_method, status, count(*) AS incidents, count(acknowledged_at) AS acknowledged,
        sum(extract(epoch FROM acknowledged_at - created_at)) AS acknowledge_seconds,
        sum(extract(epoch FROM resolved_at - created_at)) AS resolve_seconds,
        sum(calls_affected) AS calls, sum(cost_delta_cents) AS cost
    FROM incidents_incident GROUP BY 1, 2, 3, 4, 5, 6;
CREATE INDEX ON cube (tenant_id, day);
CLUSTER cube USING cube_tenant_id_day_idx
"""

CARD = """id, title, status, severity, category, trigger_type, trigger_value, calls_affected,
    cost_delta_cents, started_at, created_at, acknowledged_at, resolved_at"""


def measure_readings() -> None:
    from zoneinfo import ZoneInfo

    from config import clock
    from config.database.statements import run
    from config.tenancy.models import Tenant
    from incidents.models import Incident
    from incidents.services import metrics, patterns, recurrence, search, trends
    from incidents.services import statistics as stats

    tenant = Tenant.objects.get(pk=LARGEST)
    now = clock.now()
    utc = ZoneInfo("UTC")
    week = trends.Granularity.WEEK
    fields = [
        "title", "status", "severity", "category", "trigger_type", "trigger_value", "group_key",
        "cause_type", "source_type", "calls_affected", "alerts_count", "cost_delta_cents",
        "assignee", "started_at", "last_seen_at", "created_at", "acknowledged_at", "resolved_at",
        "resolution_method", "is_synthetic", "tenant_id", "escalation_base",
    ]  # fmt: skip

    def sql(statement: str, *parameters: Any) -> Callable[[], Any]:
        return lambda: run(statement, parameters)

    def ago(days: float) -> Any:
        return now - timedelta(days=days)

    def page(queryset: Any) -> Callable[[], Any]:
        ordered = queryset.filter(tenant_id=LARGEST).order_by("-created_at", "-id")
        return lambda: list(ordered.only(*fields)[:21])

    ((deep, deep_id),) = run(
        "SELECT started_at, id FROM good WHERE tenant_id = %s "
        "ORDER BY started_at DESC, id DESC OFFSET 50000 LIMIT 1",
        [LARGEST],
    )

    def good_page(where: str) -> Callable[[], Any]:
        rows = sql(
            f"SELECT {CARD} FROM good WHERE tenant_id = %s {where} "
            "ORDER BY started_at DESC, id DESC LIMIT 20",
            LARGEST,
        )
        count = sql(f"SELECT count(*) FROM good WHERE tenant_id = %s {where}", LARGEST)
        return lambda: (rows(), count())

    def further_page(where: str) -> Callable[[], Any]:
        return sql(
            f"SELECT {CARD} FROM good WHERE tenant_id = %s {where} "
            "ORDER BY started_at DESC, id DESC LIMIT 21",
            LARGEST,
        )

    def good_metrics(days: int) -> Callable[[], Any]:
        return sql(
            "SELECT count(*), count(*) FILTER (WHERE status = 'open'), "
            "count(*) FILTER (WHERE severity = 4), avg(resolved_at - created_at), "
            "avg(acknowledged_at - created_at), percentile_cont(0.5) WITHIN GROUP "
            "(ORDER BY extract(epoch FROM resolved_at - created_at)::float8), "
            "percentile_cont(0.5) WITHIN GROUP "
            "(ORDER BY extract(epoch FROM acknowledged_at - created_at)::float8) "
            "FROM good WHERE tenant_id = %s AND started_at >= %s",
            LARGEST,
            ago(days),
        )

    def further_metrics(days: int) -> Callable[[], Any]:
        return sql(
            "SELECT sum(incidents), sum(incidents) FILTER (WHERE status = 'open'), "
            "sum(incidents) FILTER (WHERE severity = 4), sum(resolve_seconds), "
            "sum(acknowledge_seconds), sum(acknowledged) "
            "FROM cube WHERE tenant_id = %s AND day >= %s",
            LARGEST,
            ago(days).date(),
        )

    readings: list[tuple[str, Shape, Shape | None, Shape | None]] = [
        (
            "open list, first page",
            page(Incident.objects.exclude(status="resolved")),
            good_page("AND status <> 'resolved'"),
            further_page("AND status <> 'resolved'"),
        ),
        ("all, first page", page(Incident.objects.all()), good_page(""), further_page("")),
        (
            "page at depth 50,000",
            page(
                Incident.objects.filter(created_at__lte=deep).exclude(
                    created_at=deep, id__gte=deep_id
                )
            ),
            sql(
                f"SELECT {CARD} FROM good WHERE tenant_id = %s "
                "ORDER BY started_at DESC, id DESC OFFSET 50000 LIMIT 20",
                LARGEST,
            ),
            sql(
                f"SELECT {CARD} FROM good WHERE tenant_id = %s AND (started_at, id) < (%s, %s) "
                "ORDER BY started_at DESC, id DESC LIMIT 21",
                LARGEST, deep, deep_id,
            ),
        ),
        (
            "stats, 24 h",
            lambda: stats.of_tenant(tenant=tenant),
            sql(
                "SELECT count(*), count(*) FILTER (WHERE status = 'open'), "
                "count(*) FILTER (WHERE severity = 4), sum(calls_affected) FROM good "
                "WHERE tenant_id = %s AND started_at >= %s",
                LARGEST, ago(1),
            ),
            sql(
                "SELECT sum(incidents), sum(incidents) FILTER (WHERE status = 'open'), "
                "sum(incidents) FILTER (WHERE severity = 4), sum(calls) FROM cube "
                "WHERE tenant_id = %s AND day >= %s",
                LARGEST, ago(1).date(),
            ),
        ),
        *(
            (
                f"metrics {days} d, with medians",
                lambda days=days: metrics.of_window(tenant=tenant, window_days=days),
                good_metrics(days),
                further_metrics(days),
            )
            for days in (30, 90)
        ),
        (
            "trend by week, 90 d",
            lambda: trends.trend(tenant=tenant, window_days=90, granularity=week, tz=utc),
            sql(
                "SELECT date_trunc('week', started_at, 'UTC'), count(*), "
                "count(*) FILTER (WHERE status = 'resolved'), avg(resolved_at - created_at) "
                "FROM good WHERE tenant_id = %s AND started_at >= %s GROUP BY 1 ORDER BY 1",
                LARGEST, ago(90),
            ),
            sql(
                "SELECT date_trunc('week', day), sum(incidents), "
                "sum(incidents) FILTER (WHERE status = 'resolved'), sum(resolve_seconds) "
                "FROM cube WHERE tenant_id = %s AND day >= %s GROUP BY 1 ORDER BY 1",
                LARGEST, ago(90).date(),
            ),
        ),
        (
            "the same, Asia/Kolkata by day",
            lambda: trends.trend(
                tenant=tenant, window_days=90, granularity=trends.Granularity.DAY,
                tz=ZoneInfo("Asia/Kolkata"),
            ),
            sql(
                "SELECT date_trunc('day', started_at, 'Asia/Kolkata'), count(*), "
                "count(*) FILTER (WHERE status = 'resolved'), avg(resolved_at - created_at) "
                "FROM good WHERE tenant_id = %s AND started_at >= %s GROUP BY 1 ORDER BY 1",
                LARGEST, ago(90),
            ),
            None,
        ),
        (
            "cost trend by week, 90 d",
            lambda: trends.cost_trend(tenant=tenant, window_days=90, granularity=week, tz=utc),
            sql(
                "SELECT date_trunc('week', started_at, 'UTC'), count(*), sum(calls_affected), "
                "sum(cost_delta_cents) "
                "FROM good WHERE tenant_id = %s AND started_at >= %s GROUP BY 1 ORDER BY 1",
                LARGEST, ago(90),
            ),
            sql(
                "SELECT date_trunc('week', day), sum(incidents), sum(calls), sum(cost) "
                "FROM cube WHERE tenant_id = %s AND day >= %s GROUP BY 1 ORDER BY 1",
                LARGEST, ago(90).date(),
            ),
        ),
        (
            "distribution, 90 d",
            lambda: metrics.distribution(tenant=tenant, window_days=90),
            sql(
                "SELECT severity, status, category, resolution_method, count(*) FROM good "
                "WHERE tenant_id = %s AND started_at >= %s GROUP BY GROUPING SETS "
                "((severity), (status), (category), (resolution_method))",
                LARGEST, ago(90),
            ),
            sql(
                "SELECT severity, status, category, resolution_method, sum(incidents) FROM cube "
                "WHERE tenant_id = %s AND day >= %s GROUP BY GROUPING SETS "
                "((severity), (status), (category), (resolution_method))",
                LARGEST, ago(90).date(),
            ),
        ),
        (
            "cost impact, 90 d",
            lambda: metrics.cost_impact(tenant=tenant, baseline_days=90, limit=20),
            sql(
                "SELECT category, count(*), sum(cost_delta_cents), sum(calls_affected) FROM good "
                "WHERE tenant_id = %s AND started_at >= %s GROUP BY 1 ORDER BY 3 DESC LIMIT 20",
                LARGEST, ago(90),
            ),
            sql(
                "SELECT category, sum(incidents), sum(cost), sum(calls) FROM cube "
                "WHERE tenant_id = %s AND day >= %s GROUP BY 1 ORDER BY 3 DESC LIMIT 20",
                LARGEST, ago(90).date(),
            ),
        ),
        *(
            (
                f"recurrence {days} d",
                lambda days=days: recurrence.of_tenant(
                    tenant=tenant, baseline_days=days, threshold=3, limit=20
                ),
                sql(GOOD_RECURRENCE, LARGEST, ago(days), LARGEST, ago(days)),
                sql(FURTHER_RECURRENCE, LARGEST, ago(days).date(), LARGEST, ago(days)),
            )
            for days in (30, 90)
        ),
        *(
            (
                f"patterns {hours} h (rivals: clusters only)",
                lambda hours=hours: patterns.detect(tenant=tenant, window_hours=hours),
                sql(
                    "SELECT category, count(*), (array_agg(id ORDER BY started_at DESC))[:10] "
                    "FROM good WHERE tenant_id = %s AND started_at >= %s "
                    "GROUP BY category HAVING count(*) >= 3 ORDER BY 2 DESC LIMIT 10",
                    LARGEST, ago(hours / 24),
                ),
                None,
            )
            for hours in (24, 168)
        ),
        *(
            (
                f"search {words!r}, first page",
                page(search.matching(Incident.objects.all(), words, tenant=LARGEST)),
                None,
                None,
            )
            for words in (
                "504 c4ca4238a0b923820dcc509a6f75849b",
                "restarted worker 13",
                "upstream 7",
                "upstream",
            )
        ),
    ]  # fmt: skip
    print(f"\n{'reading':42} {'ours':>8} {'good':>8} {'further':>8} {'/good':>7} {'/further':>8}")
    for name, *shapes in readings:
        ours, good, further = in_turn(shapes)
        print(
            f"{name:42} {ours:8.2f} {good or 0:8.2f} {further or 0:8.2f} "
            f"{ours / good if good else 0:7.2f} {ours / further if further else 0:8.2f}"
        )


GOOD_RECURRENCE = """
SELECT g.*, l.ids FROM (
    SELECT category, resolution_method, count(*) AS n,
        count(DISTINCT (started_at AT TIME ZONE 'UTC')::date) AS days, min(started_at),
        max(started_at)
    FROM good WHERE tenant_id = %s AND started_at >= %s
    GROUP BY category, resolution_method HAVING count(*) >= 3 ORDER BY n DESC LIMIT 20
) g CROSS JOIN LATERAL (
    SELECT array_agg(id) AS ids FROM (
        SELECT id FROM good i WHERE i.tenant_id = %s AND i.category = g.category
            AND i.resolution_method = g.resolution_method AND i.started_at >= %s
        ORDER BY started_at DESC LIMIT 5
    ) latest
) l
"""
FURTHER_RECURRENCE = """
SELECT g.*, l.ids FROM (
    SELECT category, resolution_method, sum(incidents) AS n, count(DISTINCT day) AS days
    FROM cube WHERE tenant_id = %s AND day >= %s
    GROUP BY category, resolution_method HAVING sum(incidents) >= 3 ORDER BY n DESC LIMIT 20
) g CROSS JOIN LATERAL (
    SELECT array_agg(id) AS ids FROM (
        SELECT id FROM good i WHERE i.tenant_id = %s AND i.category = g.category
            AND i.resolution_method = g.resolution_method AND i.started_at >= %s
        ORDER BY started_at DESC LIMIT 5
    ) latest
) l
"""


def measure_sizes() -> None:
    from config.database.statements import run

    ((table, indexes),) = run(
        "SELECT pg_table_size('incidents_incident'), pg_indexes_size('incidents_incident')",
        [],
    )
    print(f"\ntable {table / 1e6:.0f} MB, indexes {indexes / 1e6:.0f} MB")
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


def measure_opening(batches: int = 20, size: int = 1_000) -> None:
    """Opening incidents in bulk: every alert of a batch opens one."""
    from config.tenancy.models import Tenant
    from incidents.services import aggregation
    from incidents.services.reports import Report

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
    print(
        f"\nopening incidents, {size} a batch: median {statistics.median(rates):,.0f}, "
        f"slowest {min(rates):,.0f} a second"
    )


def in_turn(shapes: list[Callable[[], Any] | None]) -> list[float | None]:
    """The median milliseconds of each shape, run in turn after a few runs that do not count."""
    times: list[list[float]] = [[] for _ in shapes]
    for turn in range(RUNS + 6):
        for shape, taken in zip(shapes, times, strict=True):
            if shape is None:
                continue
            start = time.perf_counter()
            shape()
            if turn >= 6:
                taken.append((time.perf_counter() - start) * 1_000)
    return [statistics.median(taken) if taken else None for taken in times]


def step(what: str, work: Callable[[], Any]) -> None:
    start = time.perf_counter()
    work()
    print(f"{time.perf_counter() - start:7.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
