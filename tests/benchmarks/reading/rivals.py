"""What the readings are held against: SQL as a careful hand would write it, on tables of its own.

"good" is exact, over a copy of the rows with the best indexes for it; "further" reads keyset
pages, and sums from a daily cube. Each is one prepared statement (a list with its count two) on
the connection, in the transaction and by the role that our own reading has; what it returns is
parsed into Python too. Row-level security binds only ours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from config.database.statements import run
from tests.benchmarks.reading.history import LARGEST

Shape = Callable[[], Any]

TABLES = """
CREATE TABLE good AS SELECT * FROM incidents_incident ORDER BY started_at;
CREATE INDEX ON good (tenant_id, started_at DESC, id DESC);
CREATE INDEX ON good (tenant_id, started_at DESC, id DESC) WHERE status <> 'resolved';
CREATE INDEX ON good (tenant_id, started_at) INCLUDE (severity, status, category, cause_type,
    resolution_method, created_at, acknowledged_at, resolved_at, calls_affected,
    cost_delta_cents);
CREATE INDEX ON good (tenant_id, category, resolution_method, started_at DESC) INCLUDE (id);
CREATE TABLE good_runs AS SELECT tenant_id, run_id, id AS incident_id FROM incidents_incident;
CREATE INDEX ON good_runs (incident_id) INCLUDE (run_id);
CREATE TABLE cube AS
    SELECT tenant_id, (started_at AT TIME ZONE 'UTC')::date AS day, severity, category,
        resolution_method, status, count(*) AS incidents, count(acknowledged_at) AS acknowledged,
        sum(extract(epoch FROM acknowledged_at - created_at)) AS acknowledge_seconds,
        sum(extract(epoch FROM resolved_at - created_at)) AS resolve_seconds,
        sum(calls_affected) AS calls, sum(cost_delta_cents) AS cost
    FROM incidents_incident GROUP BY 1, 2, 3, 4, 5, 6;
CREATE INDEX ON cube (tenant_id, day);
CLUSTER cube USING cube_tenant_id_day_idx;
GRANT SELECT ON good, good_runs, cube TO firebreak_tenant
"""

# The columns of a summary, as ours has them.
CARD = """id, title, status, severity, category, trigger_type, trigger_value, group_key, cause_type,
    source_type, calls_affected, alerts_count, cost_delta_cents, assignee, started_at,
    last_seen_at, created_at, acknowledged_at, resolved_at, resolution_method, is_synthetic"""
NEWEST = "ORDER BY started_at DESC, id DESC"
UNRESOLVED = "AND status <> 'resolved'"


def sql(statement: str, *parameters: Any) -> Shape:
    return lambda: run(statement, parameters)


def both(*shapes: Shape) -> Shape:
    return lambda: [shape() for shape in shapes]


class Rivals:
    """The rivals for the largest tenant, at one moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def ago(self, days: float) -> datetime:
        return self.now - timedelta(days=days)

    def good(self, select: str, rest: str = "", *, days: float) -> Shape:
        statement = f"SELECT {select} FROM good WHERE tenant_id = %s AND started_at >= %s {rest}"
        return sql(statement, LARGEST, self.ago(days))

    def cube(self, select: str, rest: str = "", *, days: float) -> Shape:
        statement = f"SELECT {select} FROM cube WHERE tenant_id = %s AND day >= %s {rest}"
        return sql(statement, LARGEST, self.ago(days).date())

    # --- lists

    def good_page(self, where: str = "", offset: int = 0) -> Shape:
        return both(
            sql(
                f"SELECT {CARD} FROM good WHERE tenant_id = %s {where} {NEWEST} "
                f"OFFSET {offset} LIMIT 20",
                LARGEST,
            ),
            self.good_count(where),
        )

    def good_count(self, where: str = "") -> Shape:
        return sql(f"SELECT count(*) FROM good WHERE tenant_id = %s {where}", LARGEST)

    def further_page(self, where: str = "", beyond: tuple[Any, ...] | None = None) -> Shape:
        place = "" if beyond is None else "AND (started_at, id) < (%s, %s)"
        return sql(
            f"SELECT {CARD} FROM good WHERE tenant_id = %s {where} {place} {NEWEST} LIMIT 21",
            LARGEST,
            *(beyond or ()),
        )

    # --- what the dashboard reads

    def good_stats(self) -> Shape:
        return self.good(f"count(*), {_EACH_STATUS}, {_EACH_SEVERITY}, sum(calls_affected)", days=1)

    def further_stats(self) -> Shape:
        return self.cube(
            f"sum(incidents), {_SUM_STATUS}, {_SUM_SEVERITY}, sum(calls)",
            days=1,
        )

    def good_metrics(self, days: int) -> Shape:
        return self.good(
            f"count(*), {_EACH_STATUS}, {_EACH_SEVERITY}, avg(resolved_at - created_at), "
            "avg(acknowledged_at - created_at), percentile_cont(0.5) WITHIN GROUP "
            "(ORDER BY extract(epoch FROM resolved_at - created_at)::float8), "
            "percentile_cont(0.5) WITHIN GROUP "
            "(ORDER BY extract(epoch FROM acknowledged_at - created_at)::float8)",
            days=days,
        )

    def good_levels(self, days: int) -> Shape:
        """The service levels by severity as they are, beside the metrics."""
        return both(
            self.good_metrics(days),
            self.good(
                "severity, count(*) FILTER (WHERE acknowledged_at - created_at <= "
                "make_interval(secs => 300 * (5 - severity))), "
                "count(*) FILTER (WHERE resolved_at - created_at <= "
                "make_interval(secs => 7200 * (5 - severity)))",
                "GROUP BY severity",
                days=days,
            ),
        )

    def further_metrics(self, days: int) -> Shape:
        return self.cube(
            f"sum(incidents), {_SUM_STATUS}, {_SUM_SEVERITY}, sum(resolve_seconds), "
            "sum(acknowledge_seconds), sum(acknowledged)",
            days=days,
        )

    def good_trend(self, unit: str, zone: str) -> Shape:
        return self.good(
            f"date_trunc('{unit}', started_at, '{zone}'), count(*), {_EACH_SEVERITY}, "
            "count(*) FILTER (WHERE status = 'resolved'), avg(resolved_at - created_at), "
            "avg(acknowledged_at - created_at)",
            "GROUP BY 1 ORDER BY 1",
            days=90,
        )

    def further_trend(self) -> Shape:
        return self.cube(
            f"date_trunc('week', day), sum(incidents), {_SUM_SEVERITY}, "
            "sum(incidents) FILTER (WHERE status = 'resolved'), sum(resolve_seconds), "
            "sum(acknowledge_seconds), sum(acknowledged)",
            "GROUP BY 1 ORDER BY 1",
            days=90,
        )

    def good_cost_trend(self) -> Shape:
        return self.good(
            "date_trunc('week', started_at, 'UTC'), count(*), sum(calls_affected), "
            "sum(cost_delta_cents)",
            "GROUP BY 1 ORDER BY 1",
            days=90,
        )

    def further_cost_trend(self) -> Shape:
        return self.cube(
            "date_trunc('week', day), sum(incidents), sum(calls), sum(cost)",
            "GROUP BY 1 ORDER BY 1",
            days=90,
        )

    def good_distribution(self) -> Shape:
        return self.good(
            "severity, status, category, resolution_method, cause_type, count(*)",
            "GROUP BY GROUPING SETS "
            "((severity), (status), (category), (resolution_method), (cause_type))",
            days=90,
        )

    def further_distribution(self) -> Shape:
        return self.cube(
            "severity, status, category, resolution_method, sum(incidents)",
            "GROUP BY GROUPING SETS ((severity), (status), (category), (resolution_method))",
            days=90,
        )

    def good_cost_impact(self) -> Shape:
        return self.good(
            "category, count(*), sum(cost_delta_cents), sum(calls_affected)",
            "GROUP BY 1 ORDER BY 3 DESC LIMIT 20",
            days=90,
        )

    def further_cost_impact(self) -> Shape:
        return self.cube(
            "category, sum(incidents), sum(cost), sum(calls)",
            "GROUP BY 1 ORDER BY 3 DESC LIMIT 20",
            days=90,
        )

    # --- what recurs and what stands out

    def good_recurrence(self, days: int) -> Shape:
        since = self.ago(days)
        return sql(_GOOD_RECURRENCE, LARGEST, since, LARGEST, since)

    def further_recurrence(self, days: int) -> Shape:
        since = self.ago(days)
        return sql(_FURTHER_RECURRENCE, LARGEST, since.date(), LARGEST, since)

    def good_clusters(self, hours: int) -> Shape:
        return self.good(
            "category, count(*), (array_agg(id ORDER BY started_at DESC))[:10]",
            "GROUP BY category HAVING count(*) >= 3 ORDER BY 2 DESC LIMIT 10",
            days=hours / 24,
        )

    def good_patterns(self, hours: int) -> Shape:
        return both(
            self.good_clusters(hours),
            self.good("count(*)", days=hours / 24),
            self.good(
                "severity, count(*), (array_agg(id ORDER BY started_at DESC))[:10]",
                "AND status = 'open' AND severity >= 3 GROUP BY severity HAVING count(*) >= 3",
                days=1 / 24,
            ),
            sql(
                "SELECT r.run_id, count(*), (array_agg(g.id ORDER BY g.started_at DESC))[:10] "
                "FROM good g JOIN good_runs r ON r.incident_id = g.id "
                "WHERE g.tenant_id = %s AND g.started_at >= %s "
                "GROUP BY r.run_id HAVING count(*) >= 2 ORDER BY 2 DESC LIMIT 10",
                LARGEST,
                self.ago(hours / 24),
            ),
        )


_STATUSES = ("open", "acknowledged", "resolved")
_EACH_STATUS = ", ".join(f"count(*) FILTER (WHERE status = '{s}')" for s in _STATUSES)
_SUM_STATUS = ", ".join(f"sum(incidents) FILTER (WHERE status = '{s}')" for s in _STATUSES)
_EACH_SEVERITY = ", ".join(f"count(*) FILTER (WHERE severity = {s})" for s in range(1, 5))
_SUM_SEVERITY = ", ".join(f"sum(incidents) FILTER (WHERE severity = {s})" for s in range(1, 5))

_LATEST = """
CROSS JOIN LATERAL (
    SELECT array_agg(id) AS ids FROM (
        SELECT id FROM good i WHERE i.tenant_id = %s AND i.category = g.category
            AND i.resolution_method = g.resolution_method AND i.started_at >= %s
        ORDER BY started_at DESC LIMIT 5
    ) latest
) l
"""
_GOOD_RECURRENCE = f"""
SELECT g.*, l.ids FROM (
    SELECT category, resolution_method, count(*) AS n,
        count(DISTINCT (started_at AT TIME ZONE 'UTC')::date) AS days, min(started_at),
        max(started_at)
    FROM good WHERE tenant_id = %s AND started_at >= %s
    GROUP BY category, resolution_method HAVING count(*) >= 3 ORDER BY n DESC LIMIT 20
) g {_LATEST}
"""
_FURTHER_RECURRENCE = f"""
SELECT g.*, l.ids FROM (
    SELECT category, resolution_method, sum(incidents) AS n, count(DISTINCT day) AS days
    FROM cube WHERE tenant_id = %s AND day >= %s
    GROUP BY category, resolution_method HAVING sum(incidents) >= 3 ORDER BY n DESC LIMIT 20
) g {_LATEST}
"""
