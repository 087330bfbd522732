"""Replaces the post-mortem driver: what past incidents teach about one, or about a category.

Every insight has a confidence up to 1 and names incidents that support it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import InsightKind, ResolutionMethod, Similarity, Status
from incidents.models import Incident
from incidents.models.rollup import UNCATEGORIZED
from incidents.services import recurrence, rollup
from incidents.services.metrics import milliseconds

SIMILAR: Final = 5
LISTED: Final = 10
BASELINE_DAYS: Final = 30
SIMILAR_DAYS: Final = 90
_HOUR_MS: Final = 3_600_000
_HOW: Final[dict[str, str]] = {
    ResolutionMethod.AUTO: "automatically",
    ResolutionMethod.MANUAL: "by hand",
    ResolutionMethod.ROLLBACK: "by a rollback",
}


@dataclass(frozen=True, slots=True)
class Insight:
    kind: InsightKind
    statement: str
    confidence: float
    incident_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class MethodUse:
    """How many incidents were resolved by a method."""

    resolution_method: str
    count: int


@dataclass(frozen=True, slots=True)
class CategoryLearnings:
    """A category over a baseline; figures without data are null.

    ``resolution_rate`` is from 0 to 1; ``occurrences_per_day`` is per day of UTC with any.
    """

    category: str
    baseline_days: int
    since: datetime
    occurrences: int
    resolved: int
    resolution_rate: float | None
    mean_time_to_resolve_ms: float | None
    distinct_days: int
    occurrences_per_day: float | None
    resolution_methods: list[MethodUse]
    insights: list[Insight]


@dataclass(frozen=True, slots=True)
class Similar:
    """A resolved incident that is like another, and what they share."""

    incident_id: UUID
    title: str
    similarity: Similarity
    resolution_method: str
    resolution_summary: str | None
    time_to_resolve_ms: float
    recovery_attempts: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an incident ended, if it has, and what was captured of it."""

    status: str
    resolution_method: str | None
    resolution_type: str | None
    resolution_summary: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    time_to_acknowledge_ms: float | None
    time_to_resolve_ms: float | None
    evidence_count: int
    recovery_attempts: int


@dataclass(frozen=True, slots=True)
class Learnings:
    """What is to be learned about one incident; ``category`` goes by its whole category."""

    incident_id: UUID
    similar_days: int
    resolution: Resolution
    similar: list[Similar]
    insights: list[Insight]
    category: CategoryLearnings


def of_category(
    *, tenant: Tenant, category: str, baseline_days: int = BASELINE_DAYS
) -> CategoryLearnings:
    """What the incidents of a category since the baseline teach."""
    since = clock.now() - timedelta(days=baseline_days)
    relation, parameters = rollup.source(
        rollup.CATEGORIES,
        ("category", "resolution_method", "incidents", "resolve_us"),
        tenant=tenant.pk,
        since=since,
    )
    rows = rollup.read(
        "SELECT resolution_method, (at AT TIME ZONE 'UTC')::date, sum(incidents)::bigint, "  # noqa: S608
        f"sum(resolve_us)::bigint FROM ({relation}) s WHERE category = %s GROUP BY 1, 2",
        [*parameters, category],
    )
    counts: Counter[str] = Counter()
    days: Counter[Any] = Counter()
    total_us = 0
    for method, day, incidents, resolve_us in rows:
        counts[method] += incidents
        days[day] += incidents
        total_us += resolve_us
    occurrences = counts.total()
    resolved = occurrences - counts[""]
    distinct_days = sum(1 for count in days.values() if count)
    rate = Fraction(resolved, occurrences) if occurrences else None
    mean_us = Fraction(total_us, resolved) if resolved else None
    uses = [
        MethodUse(method, count)
        for method, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if method and count
    ]
    latest = (
        recurrence.latest(tenant.pk, since, [category], ["", *ResolutionMethod.values], LISTED)
        if occurrences
        else {}
    )
    return CategoryLearnings(
        category=category,
        baseline_days=baseline_days,
        since=since,
        occurrences=occurrences,
        resolved=resolved,
        resolution_rate=None if rate is None else round(float(rate), 4),
        mean_time_to_resolve_ms=None if mean_us is None else milliseconds(mean_us),
        distinct_days=distinct_days,
        occurrences_per_day=(
            recurrence.per_day(occurrences, distinct_days) if distinct_days else None
        ),
        resolution_methods=uses,
        insights=_of_category(category, occurrences, rate, mean_us, distinct_days, uses, latest),
    )


def _of_category(
    category: str,
    occurrences: int,
    rate: Fraction | None,
    mean_us: Fraction | None,
    days: int,
    uses: Sequence[MethodUse],
    latest: dict[tuple[str, str], list[tuple[datetime, UUID]]],
) -> list[Insight]:
    def ids(*methods: str) -> list[UUID]:
        found = sorted(
            (one for method in methods for one in latest.get((category, method), [])), reverse=True
        )
        return [id_ for _, id_ in found[:LISTED]]

    resolved = tuple(ResolutionMethod.values)
    insights = []
    if rate is not None and rate >= Fraction(80, 100):
        insights.append(
            _insight(
                InsightKind.MOSTLY_RESOLVED,
                f"{_percent(rate)} of the {occurrences} incidents were resolved.",
                0.7 + 0.2 * float(rate),
                ids(*resolved),
            )
        )
    if rate is not None and rate < Fraction(50, 100):
        insights.append(
            _insight(
                InsightKind.SELDOM_RESOLVED,
                f"Only {_percent(rate)} of the {occurrences} incidents were resolved.",
                0.6 + 0.2 * (1 - float(rate)),
                ids(""),
            )
        )
    if mean_us is not None:
        hours = float(mean_us / (_HOUR_MS * 1_000))
        if mean_us > 24 * _HOUR_MS * 1_000:
            insights.append(
                _insight(
                    InsightKind.SLOW_TO_RESOLVE,
                    f"Resolving takes {hours:.1f} hours on average.",
                    min(0.6 + hours / 100, 0.85),
                    ids(*resolved),
                )
            )
        if mean_us < _HOUR_MS * 1_000:
            insights.append(
                _insight(
                    InsightKind.QUICK_TO_RESOLVE,
                    f"Resolving takes {hours * 60:.1f} minutes on average.",
                    0.75,
                    ids(*resolved),
                )
            )
    if days and occurrences > 2 * days:
        per_day = occurrences / days
        insights.append(
            _insight(
                InsightKind.FREQUENT,
                f"{per_day:.1f} incidents on each day that had any.",
                min(0.6 + 0.05 * per_day, 0.9),
                ids("", *resolved),
            )
        )
    insights += [
        _insight(
            InsightKind.METHOD_WORKS,
            f"{use.count} incidents were resolved {_HOW[use.resolution_method]}.",
            0.6 + min(0.05 * use.count, 0.3),
            ids(use.resolution_method),
        )
        for use in uses
        if use.count >= 3
    ]
    return insights


_SIMILAR: Final = f"""
    SELECT id, min(rank) FROM (
        (SELECT id, started_at, {Similarity.SIGNATURE.rank} AS rank FROM incidents_incident
        WHERE tenant_id = %(tenant)s AND signature = %(signature)s AND id <> %(id)s
            AND status = '{Status.RESOLVED}' AND started_at >= %(since)s
        ORDER BY started_at DESC, id DESC LIMIT {SIMILAR})
        UNION ALL
        (SELECT id, started_at, {Similarity.ERROR_CODE.rank} FROM incidents_incident
        WHERE tenant_id = %(tenant)s AND error_code = %(error_code)s AND id <> %(id)s
            AND status = '{Status.RESOLVED}' AND started_at >= %(since)s
        ORDER BY started_at DESC, id DESC LIMIT {2 * SIMILAR})
        UNION ALL
        (SELECT l.id, l.started_at, {Similarity.CATEGORY.rank}
        FROM unnest(ARRAY{ResolutionMethod.values}) AS m(method) CROSS JOIN LATERAL (
            SELECT i.id, i.started_at FROM incidents_incident i
            WHERE i.tenant_id = %(tenant)s AND i.id <> %(id)s
                AND {recurrence.CATEGORY} = %(category)s
                AND {recurrence.METHOD} = m.method AND i.started_at >= %(since)s
            ORDER BY i.started_at DESC, i.id DESC LIMIT {3 * SIMILAR}
        ) l)
    ) found
    GROUP BY id ORDER BY min(rank), max(started_at) DESC, id DESC LIMIT {SIMILAR}
"""  # noqa: S608 - only our own constants are interpolated


def similar(*, incident: Incident) -> list[tuple[UUID, Similarity]]:
    """The resolved incidents most like this one, at most five, the likest first.

    Those of the same signature come first, then of the same error code, then of the same
    category; the latest of equals first. None started over ninety days before it.
    """
    rows = rollup.read(
        _SIMILAR,
        {
            "tenant": incident.tenant_id,
            "id": incident.pk,
            "signature": incident.signature,
            "error_code": incident.error_code,
            "category": incident.category,
            "since": incident.started_at - timedelta(days=SIMILAR_DAYS),
        },
    )
    return [(id_, Similarity.ranked(rank)) for id_, rank in rows]


def of_incident(*, incident: Incident) -> Learnings:
    """How an incident ended, those like it, and what they teach."""
    ranked = similar(incident=incident)
    found = Incident.objects.in_bulk([id_ for id_, _ in ranked])
    evidence = _evidence([incident.pk, *found])
    captured, attempts = evidence.get(incident.pk, (0, 0))
    alike = [
        Similar(
            incident_id=id_,
            title=found[id_].title,
            similarity=similarity,
            resolution_method=str(found[id_].resolution_method),
            resolution_summary=found[id_].resolution_summary,
            time_to_resolve_ms=_milliseconds(found[id_].resolve_us) or 0.0,
            recovery_attempts=evidence.get(id_, (0, 0))[1],
        )
        for id_, similarity in ranked
        # One that was reopened since is not resolved any more.
        if id_ in found and found[id_].status == Status.RESOLVED
    ]
    return Learnings(
        incident_id=incident.pk,
        similar_days=SIMILAR_DAYS,
        resolution=Resolution(
            status=str(incident.status),
            resolution_method=incident.resolution_method,
            resolution_type=incident.resolution_type,
            resolution_summary=incident.resolution_summary,
            resolved_by=incident.resolved_by,
            resolved_at=incident.resolved_at,
            time_to_acknowledge_ms=_milliseconds(incident.acknowledge_us),
            time_to_resolve_ms=_milliseconds(incident.resolve_us),
            evidence_count=captured,
            recovery_attempts=attempts,
        ),
        similar=alike,
        insights=of_similar(alike),
        category=of_category(tenant=incident.tenant, category=incident.category or UNCATEGORIZED),
    )


def of_similar(alike: Sequence[Similar]) -> list[Insight]:
    """What incidents that are alike teach together."""
    insights = []
    for method, count in Counter(one.resolution_method for one in alike).most_common(1):
        if count >= 2:
            insights.append(
                _insight(
                    InsightKind.SAME_METHOD,
                    f"{count} similar incidents were resolved {_HOW[method]}.",
                    min(0.5 + 0.1 * count, 0.9),
                    [one.incident_id for one in alike if one.resolution_method == method],
                )
            )
    recovered = [one.incident_id for one in alike if one.recovery_attempts]
    if len(recovered) >= 2:
        insights.append(
            _insight(
                InsightKind.RECOVERY_ATTEMPTED,
                f"A recovery was attempted in {len(recovered)} similar incidents.",
                min(0.6 + 0.08 * len(recovered), 0.85),
                recovered,
            )
        )
    if len(alike) >= 2:
        mean = sum(one.time_to_resolve_ms for one in alike) / len(alike)
        insights.append(
            _insight(
                InsightKind.TIME_TO_RESOLVE,
                f"{len(alike)} similar incidents took {_duration(mean)} to resolve on average.",
                min(0.5 + 0.1 * len(alike), 0.8),
                [one.incident_id for one in alike],
            )
        )
    return insights


def _evidence(ids: Iterable[UUID]) -> dict[UUID, tuple[int, int]]:
    """Of each incident with any: how much evidence it has, and how much of a recovery."""
    rows = rollup.read(
        "SELECT incident_id, count(*), count(*) FILTER (WHERE recovery_executed) "
        "FROM incidents_evidence WHERE incident_id = ANY(%s) GROUP BY incident_id",
        [list(ids)],
    )
    return {id_: (captured, attempts) for id_, captured, attempts in rows}


def _insight(kind: InsightKind, statement: str, confidence: float, ids: list[UUID]) -> Insight:
    return Insight(kind, statement, round(confidence, 4), ids)


def _milliseconds(us: int | None) -> float | None:
    return None if us is None else milliseconds(Fraction(us))


def _percent(rate: Fraction) -> str:
    return f"{float(rate):.0%}"


def _duration(ms: float) -> str:
    hours = ms / _HOUR_MS
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"
