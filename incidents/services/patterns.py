"""Replaces the incident patterns driver: what stands out in the last hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import PatternType, ResolutionMethod, Severity, Status
from incidents.services import recurrence, rollup

CLUSTER: Final = 3
SPIKE: Final = 3
SPIKE_WINDOW: Final = timedelta(hours=1)
CASCADE: Final = 2
LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Pattern:
    """Incidents that belong together: by category, by severity or by run (the ``dimension``).

    ``incident_ids`` are the latest of them, ``count`` counts all, ``confidence`` is up to 1.
    """

    pattern_type: PatternType
    dimension: str
    count: int
    incident_ids: list[UUID]
    confidence: float


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns of a window, kind by kind, the largest first, at most ``limit`` of a kind."""

    window_hours: int
    limit: int
    since: datetime
    incidents: int
    patterns: list[Pattern]

    def since_of(self, pattern: Pattern) -> datetime:
        """From when on incidents count for a pattern: spikes have a window of their own."""
        if pattern.pattern_type == PatternType.SEVERITY_SPIKE:
            return self.since + timedelta(hours=self.window_hours) - SPIKE_WINDOW
        return self.since


def detect(*, tenant: Tenant, window_hours: int = 24, limit: int = 10) -> Patterns:
    """What stands out among the incidents that started in the last hours."""
    now = clock.now()
    since = now - timedelta(hours=window_hours)
    incidents, found = clusters(tenant=tenant.pk, since=since, limit=limit)
    return Patterns(
        window_hours=window_hours,
        limit=limit,
        since=since,
        incidents=incidents,
        patterns=[
            *found,
            *_spikes(tenant.pk, now - SPIKE_WINDOW, limit),
            *_cascades(tenant.pk, since, limit),
        ],
    )


def clusters(*, tenant: str, since: datetime, limit: int) -> tuple[int, list[Pattern]]:
    """How many incidents started since then, and the categories of at least three of them."""
    counts: list[tuple[str, int, list[UUID]]]
    if since > clock.now() - _SUMMED_FROM:
        counts = rollup.read(_COUNTED, [tenant, since])
        clustered = [one for one in counts if one[1] >= CLUSTER][:limit]
    else:
        relation, parameters = rollup.source(
            rollup.CATEGORIES, ("category", "incidents"), tenant=tenant, since=since
        )
        counts = rollup.read(
            "SELECT category, sum(incidents)::bigint, NULL "  # noqa: S608 - our own names
            f"FROM ({relation}) s GROUP BY category ORDER BY 2 DESC, 1",
            parameters,
        )
        clustered = _named(tenant, since, [one for one in counts if one[1] >= CLUSTER][:limit])
    return sum(count for _, count, _ in counts), [
        Pattern(
            PatternType.CATEGORY_CLUSTER,
            category,
            count,
            ids,
            _confidence(0.5, 0.1, count - CLUSTER, 0.95),
        )
        for category, count, ids in clustered
    ]


# Over less than this the incidents themselves are counted sooner than the sums are put together:
# these leave up to a day of them to be counted all the same.
_SUMMED_FROM: Final = timedelta(days=2)

_COUNTED: Final = f"""
    SELECT {recurrence.CATEGORY}, count(*),
        (array_agg(i.id ORDER BY i.started_at DESC, i.id DESC))[:{LISTED}]
    FROM incidents_incident i WHERE i.tenant_id = %s AND i.started_at >= %s
    GROUP BY 1 ORDER BY 2 DESC, 1
"""  # noqa: S608 - only our own constants are interpolated


_LATEST: Final = f"""
    SELECT c.category, (
        SELECT array_agg(id ORDER BY started_at DESC, id DESC) FROM (
            SELECT l.started_at, l.id
            FROM unnest(ARRAY{["", *ResolutionMethod.values]}) AS m(method) CROSS JOIN LATERAL (
                SELECT i.started_at, i.id FROM incidents_incident i
                WHERE i.tenant_id = %s AND {recurrence.CATEGORY} = c.category
                    AND {recurrence.METHOD} = m.method AND i.started_at >= %s
                ORDER BY i.started_at DESC, i.id DESC LIMIT {LISTED}
            ) l
            ORDER BY l.started_at DESC, l.id DESC LIMIT {LISTED}
        ) latest
    )
    FROM unnest(%s::text[]) AS c(category)
"""  # noqa: S608 - only our own constants are interpolated


def _named(
    tenant: str, since: datetime, counts: list[tuple[str, int, list[UUID]]]
) -> list[tuple[str, int, list[UUID]]]:
    """These categories and counts with the latest incidents of each."""
    if not counts:
        return []
    latest = dict(rollup.read(_LATEST, [tenant, since, [category for category, *_ in counts]]))
    return [(category, count, latest[category] or []) for category, count, _ in counts]


_SPIKES: Final = f"""
    SELECT severity, count(*), (array_agg(id ORDER BY started_at DESC, id DESC))[:{LISTED}]
    FROM incidents_incident
    WHERE tenant_id = %s AND started_at >= %s AND status = '{Status.OPEN}'
        AND severity IN ({int(Severity.HIGH)}, {int(Severity.CRITICAL)})
    GROUP BY severity HAVING count(*) >= {SPIKE} ORDER BY count(*) DESC, severity DESC LIMIT %s
"""  # noqa: S608 - only our own constants are interpolated


def _spikes(tenant: str, since: datetime, limit: int) -> list[Pattern]:
    return [
        Pattern(
            PatternType.SEVERITY_SPIKE,
            Severity(severity).label,
            count,
            ids,
            _confidence(0.8 if severity == Severity.CRITICAL else 0.7, 0.05, count - SPIKE, 0.98),
        )
        for severity, count, ids in rollup.read(_SPIKES, [tenant, since, limit])
    ]


# An incident at a time (OFFSET keeps it so), from the index of links: all links of the tenant are
# never read, whatever the planner believes of how many incidents these hours hold.
_CASCADES: Final = f"""
    SELECT r.run_id, count(*), (array_agg(i.id ORDER BY i.started_at DESC, i.id DESC))[:{LISTED}]
    FROM incidents_incident i CROSS JOIN LATERAL (
        SELECT l.run_id FROM incidents_incidentrun l WHERE l.incident_id = i.id OFFSET 0
    ) r
    WHERE i.tenant_id = %s AND i.started_at >= %s
    GROUP BY r.run_id HAVING count(*) >= {CASCADE} ORDER BY count(*) DESC, r.run_id LIMIT %s
"""  # noqa: S608 - only our own constants are interpolated


def _cascades(tenant: str, since: datetime, limit: int) -> list[Pattern]:
    return [
        Pattern(
            PatternType.CASCADE_FAILURE,
            run_id,
            count,
            ids,
            _confidence(0.75, 0.1, count - CASCADE, 0.95),
        )
        # How many incidents there are decides how their runs are best found.
        for run_id, count, ids in rollup.read(_CASCADES, [tenant, since, limit], plan_once=False)
    ]


def _confidence(base: float, step: float, more: int, most: float) -> float:
    return round(min(base + step * more, most), 4)
