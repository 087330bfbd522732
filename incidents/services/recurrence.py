"""Replaces recurrence analysis: what keeps happening, by category and how it was resolved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from uuid import UUID

from config import clock
from config.tenancy.models import Tenant
from incidents.models.rollup import UNCATEGORIZED, or_else
from incidents.services import rollup

LATEST: Final = 5
# Of an incident that SQL calls i, as the index of them has it.
CATEGORY: Final = or_else("i.category", UNCATEGORIZED)
METHOD: Final = or_else("i.resolution_method", "")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Incidents of a category that were resolved the same way; the method is null for those
    that are not resolved.

    ``occurrences_per_day`` is per day (of UTC) that had any. ``incident_ids`` are the latest.
    """

    category: str
    resolution_method: str | None
    occurrences: int
    distinct_days: int
    occurrences_per_day: float
    first_at: datetime
    last_at: datetime
    incident_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class Recurrences:
    """The groups that came at least ``threshold`` times since ``since``, most frequent first."""

    baseline_days: int
    threshold: int
    limit: int
    since: datetime
    groups: list[Recurrence]


@dataclass(frozen=True, slots=True)
class CategoryRecurrence:
    """A category over the baseline, whole and by resolution method; null where it had nothing.

    ``is_recurring`` tells whether it came at least ``threshold`` times.
    """

    category: str
    baseline_days: int
    threshold: int
    since: datetime
    is_recurring: bool
    occurrences: int
    distinct_days: int
    occurrences_per_day: float | None
    first_at: datetime | None
    last_at: datetime | None
    groups: list[Recurrence]


def of_tenant(*, tenant: Tenant, baseline_days: int, threshold: int, limit: int) -> Recurrences:
    """What recurred in the last days, by category and resolution method."""
    since = clock.now() - timedelta(days=baseline_days)
    groups = _groups(tenant.pk, since, threshold=threshold, limit=limit)
    return Recurrences(baseline_days, threshold, limit, since, groups)


def of_category(
    *, tenant: Tenant, category: str, baseline_days: int, threshold: int
) -> CategoryRecurrence:
    """How often a category came in the last days, and how it was resolved."""
    since = clock.now() - timedelta(days=baseline_days)
    groups = _groups(tenant.pk, since, threshold=1, limit=None, category=category)
    occurrences = sum(group.occurrences for group in groups)
    days = distinct_days(tenant.pk, since, category)
    return CategoryRecurrence(
        category=category,
        baseline_days=baseline_days,
        threshold=threshold,
        since=since,
        is_recurring=occurrences >= threshold,
        occurrences=occurrences,
        distinct_days=days,
        occurrences_per_day=per_day(occurrences, days) if days else None,
        first_at=min((group.first_at for group in groups), default=None),
        last_at=max((group.last_at for group in groups), default=None),
        groups=groups,
    )


def _groups(
    tenant: str, since: datetime, *, threshold: int, limit: int | None, category: str | None = None
) -> list[Recurrence]:
    relation, parameters = rollup.source(
        rollup.CATEGORIES,
        ("category", "resolution_method", "incidents"),
        tenant=tenant,
        since=since,
    )
    of_group = f"""
        FROM incidents_incident i
        WHERE i.tenant_id = %s AND {CATEGORY} = g.category
            AND {METHOD} = g.resolution_method AND i.started_at >= %s
    """
    rows = rollup.read(
        f"""
        SELECT g.category, g.resolution_method, g.occurrences, g.days,
            (SELECT i.started_at {of_group} ORDER BY i.started_at LIMIT 1), l.last_at, l.ids
        FROM (
            SELECT category, resolution_method, sum(incidents)::bigint AS occurrences,
                count(*) AS days
            FROM (
                SELECT category, resolution_method, sum(incidents) AS incidents
                FROM ({relation}) s WHERE %s::text IS NULL OR category = %s
                GROUP BY category, resolution_method, (at AT TIME ZONE 'UTC')::date
                HAVING sum(incidents) > 0
            ) of_day
            GROUP BY category, resolution_method HAVING sum(incidents) >= %s
            ORDER BY occurrences DESC, category, resolution_method LIMIT %s
        ) g CROSS JOIN LATERAL (
            SELECT max(started_at) AS last_at,
                array_agg(id ORDER BY started_at DESC, id DESC) AS ids
            FROM (
                SELECT i.started_at, i.id {of_group}
                ORDER BY i.started_at DESC, i.id DESC LIMIT {LATEST}
            ) latest
        ) l
        ORDER BY g.occurrences DESC, g.category, g.resolution_method
        """,  # noqa: S608 - only our own names and constants are interpolated
        [tenant, since, *parameters, category, category, threshold, limit, tenant, since],
    )
    return [
        Recurrence(
            category=name,
            resolution_method=method or None,
            occurrences=occurrences,
            distinct_days=days,
            occurrences_per_day=per_day(occurrences, days),
            first_at=first,
            last_at=last,
            incident_ids=ids,
        )
        for name, method, occurrences, days, first, last, ids in rows
    ]


def distinct_days(tenant: str, since: datetime, category: str) -> int:
    """On how many days of UTC incidents of the category started."""
    relation, parameters = rollup.source(
        rollup.CATEGORIES, ("category", "incidents"), tenant=tenant, since=since
    )
    ((days,),) = rollup.read(
        f"SELECT count(*) FROM (SELECT FROM ({relation}) s WHERE category = %s "  # noqa: S608
        "GROUP BY (at AT TIME ZONE 'UTC')::date HAVING sum(incidents) > 0) of_day",
        [*parameters, category],
    )
    return int(days)


def latest(
    tenant: str, since: datetime, categories: list[str], methods: list[str], limit: int
) -> dict[tuple[str, str], list[tuple[datetime, UUID]]]:
    """The latest incidents, newest first, of each of these categories and resolution methods.

    The empty method is that of unresolved ones.
    """
    rows: list[Any] = rollup.read(
        f"""
        SELECT c.category, m.method, l.started_at, l.id
        FROM unnest(%s::text[]) AS c(category) CROSS JOIN unnest(%s::text[]) AS m(method)
        CROSS JOIN LATERAL (
            SELECT i.started_at, i.id FROM incidents_incident i
            WHERE i.tenant_id = %s AND {CATEGORY} = c.category
                AND {METHOD} = m.method AND i.started_at >= %s
            ORDER BY i.started_at DESC, i.id DESC LIMIT %s
        ) l
        """,  # noqa: S608 - only our own constants are interpolated
        [categories, methods, tenant, since, limit],
    )
    found: dict[tuple[str, str], list[tuple[datetime, UUID]]] = {}
    for category, method, started_at, id_ in rows:
        found.setdefault((category, method), []).append((started_at, id_))
    for group in found.values():
        group.sort(reverse=True)
    return found


def per_day(occurrences: int, days: int) -> float:
    """Occurrences per day with any, to two decimals."""
    return float(round(Fraction(occurrences, days), 2))
