"""The readings as the drivers that Firebreak replaces had them, on either of their sets of indexes.

Their schema and their SQL are not ours to publish. What they did is told here in words of our own:
a list takes every column, an offset and a count of its own; every figure is an aggregate over the
rows; a distribution is four statements; the incidents behind a group are all gathered, and then
five are kept. ``modelled`` has the indexes that their models asked for (single columns),
``migrated`` those of their migrations (the tenant with a state, a severity, a category, a time).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.benchmarks.reading.history import LARGEST
from tests.benchmarks.reading.rivals import Shape, both, sql

MODELLED, MIGRATED = "modelled", "migrated"

TABLES = """
CREATE TABLE modelled AS SELECT * FROM incidents_incident ORDER BY started_at;
ALTER TABLE modelled ADD PRIMARY KEY (id);
CREATE INDEX ON modelled (tenant_id);
CREATE INDEX ON modelled (run_id);
CREATE TABLE migrated AS SELECT * FROM incidents_incident ORDER BY started_at;
ALTER TABLE migrated ADD PRIMARY KEY (id);
CREATE INDEX ON migrated (tenant_id, created_at DESC);
CREATE INDEX ON migrated (tenant_id, status, created_at DESC);
CREATE INDEX ON migrated (tenant_id, severity);
CREATE INDEX ON migrated (tenant_id, category);
CREATE INDEX ON migrated (tenant_id, status) WHERE status <> 'resolved';
CREATE INDEX ON migrated (run_id);
CREATE INDEX ON migrated (resolved_at) WHERE resolved_at IS NOT NULL;
GRANT SELECT ON modelled, migrated TO firebreak_tenant
"""

_SECONDS_TO_RESOLVE = "extract(epoch FROM resolved_at - created_at)::float8"
_SECONDS_TO_ACKNOWLEDGE = "extract(epoch FROM acknowledged_at - created_at)::float8"


class Originals:
    """Their readings of one of the two tables, for the largest tenant, at one moment."""

    def __init__(self, table: str, now: datetime) -> None:
        self.table = table
        self.now = now

    def page(self, where: str = "", offset: int = 0) -> Shape:
        return both(
            sql(
                f"SELECT * FROM {self.table} WHERE tenant_id = %s {where} "
                f"ORDER BY created_at DESC LIMIT 20 OFFSET {offset}",
                LARGEST,
            ),
            self.count(where),
        )

    def count(self, where: str = "") -> Shape:
        return sql(f"SELECT count(*) FROM {self.table} WHERE tenant_id = %s {where}", LARGEST)

    def since(self, select: str, rest: str = "", *, days: float) -> Shape:
        return sql(
            f"SELECT {select} FROM {self.table} WHERE tenant_id = %s AND created_at >= %s {rest}",
            LARGEST,
            self.now - timedelta(days=days),
        )

    def stats(self) -> Shape:
        return self.since(
            "count(*), count(*) FILTER (WHERE status = 'open'), "
            "count(*) FILTER (WHERE severity = 4), sum(calls_affected)",
            days=1,
        )

    def metrics(self, days: int) -> Shape:
        return self.since(
            "count(*), count(*) FILTER (WHERE status = 'open'), "
            "count(*) FILTER (WHERE status = 'acknowledged'), "
            "count(*) FILTER (WHERE status = 'resolved'), "
            f"avg({_SECONDS_TO_ACKNOWLEDGE}), avg({_SECONDS_TO_RESOLVE}), "
            f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {_SECONDS_TO_RESOLVE})",
            days=days,
        )

    def trend(self) -> Shape:
        return self.since(
            "date_trunc('week', created_at), count(*), "
            f"count(*) FILTER (WHERE status = 'resolved'), avg({_SECONDS_TO_RESOLVE})",
            "GROUP BY 1 ORDER BY 1",
            days=90,
        )

    def cost_trend(self) -> Shape:
        return self.since(
            "date_trunc('week', created_at), count(*), sum(cost_delta_cents)",
            "GROUP BY 1 ORDER BY 1",
            days=90,
        )

    def distribution(self) -> Shape:
        return both(
            *(
                self.since(f"{column}, count(*)", "GROUP BY 1", days=90)
                for column in ("severity", "status", "category", "cause_type")
            )
        )

    def cost_impact(self) -> Shape:
        return self.since(
            "category, count(*), sum(cost_delta_cents), avg(cost_delta_cents)",
            "GROUP BY 1 ORDER BY 3 DESC LIMIT 20",
            days=90,
        )

    def recurrence(self, days: int) -> Shape:
        return self.since(
            "category, resolution_method, count(*), count(DISTINCT created_at::date), "
            "min(created_at), max(created_at), (array_agg(id ORDER BY created_at DESC))[1:5]",
            "GROUP BY 1, 2 HAVING count(*) >= 3 ORDER BY 3 DESC LIMIT 20",
            days=days,
        )

    def clusters(self, hours: int) -> Shape:
        return self.since(
            "category, count(*), array_agg(id ORDER BY created_at DESC)",
            "GROUP BY 1 HAVING count(*) >= 3 ORDER BY 2 DESC LIMIT 10",
            days=hours / 24,
        )
