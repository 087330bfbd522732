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


def detect(*, tenant: Tenant, window_hours: int = 24, limit: int = 10) -> Patterns:
    """What stands out among the incidents that started in the last hours."""
    now = clock.now()
    since = now - timedelta(hours=window_hours)
    return Patterns(
        window_hours=window_hours,
        limit=limit,
        since=since,
        incidents=_count(tenant.pk, since),
        patterns=[
            *clusters(tenant=tenant.pk, since=since, limit=limit),
            *_spikes(tenant.pk, now - timedelta(hours=1), limit),
            *_cascades(tenant.pk, since, limit),
        ],
    )


def _count(tenant: str, since: datetime) -> int:
    relation, parameters = rollup.source(rollup.HOURS, ("incidents",), tenant=tenant, since=since)
    ((count,),) = rollup.read(
        f"SELECT COALESCE(sum(incidents), 0)::bigint FROM ({relation}) s",  # noqa: S608
        parameters,
    )
    return int(count)


def clusters(*, tenant: str, since: datetime, limit: int) -> list[Pattern]:
    """The categories of at least three incidents since then."""
    relation, parameters = rollup.source(
        rollup.CATEGORIES, ("category", "incidents"), tenant=tenant, since=since
    )
    rows = rollup.read(
        f"SELECT category, sum(incidents)::bigint AS incidents FROM ({relation}) s "  # noqa: S608
        "GROUP BY category HAVING sum(incidents) >= %s ORDER BY 2 DESC, 1 LIMIT %s",
        [*parameters, CLUSTER, limit],
    )
    if not rows:
        return []
    methods = ["", *ResolutionMethod.values]
    latest = recurrence.latest(tenant, since, [name for name, _ in rows], methods, LISTED)
    patterns = []
    for category, count in rows:
        found = sorted(
            (one for method in methods for one in latest.get((category, method), [])),
            reverse=True,
        )
        ids = [id_ for _, id_ in found[:LISTED]]
        confidence = _confidence(0.5, 0.1, count - CLUSTER, 0.95)
        patterns.append(Pattern(PatternType.CATEGORY_CLUSTER, category, count, ids, confidence))
    return patterns


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


_CASCADES: Final = f"""
    SELECT r.run_id, count(*), (array_agg(i.id ORDER BY i.started_at DESC, i.id DESC))[:{LISTED}]
    FROM incidents_incident i JOIN incidents_incidentrun r ON r.incident_id = i.id
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
        for run_id, count, ids in rollup.read(_CASCADES, [tenant, since, limit])
    ]


def _confidence(base: float, step: float, more: int, most: float) -> float:
    return round(min(base + step * more, most), 4)
