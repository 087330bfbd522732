"""Readings for people who look: how an incident's alerts came, and lists of them at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from config.database.statements import run
from incidents.models import Incident

# A plot of a flood reads the latest of it, so that it costs the same however long it lasts.
PLOTTED: Final = 20_000
SKETCHED: Final = 120
SLICES: Final = 16
BUCKETS: Final = 40


@dataclass(frozen=True, slots=True)
class Bucket:
    """The alerts that occurred from ``start`` up to ``end``."""

    start: datetime
    end: datetime
    alerts: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How an incident's alerts are spread over the time they occurred in.

    ``read`` is how many alerts that tells of: all, or the latest ``PLOTTED``.
    """

    read: int
    buckets: list[Bucket]


_ARRIVALS: Final = """
    WITH read AS MATERIALIZED (
        SELECT extract(epoch FROM occurred_at)::float8 AS at FROM incidents_alert
        WHERE incident_id = %(incident)s AND tenant_id = %(tenant)s ORDER BY id DESC LIMIT %(limit)s
    ), span AS (
        SELECT min(at) AS first, greatest(max(at) - min(at), 1) AS length FROM read
    ), buckets AS (
        SELECT first, length, least(ceil(length), %(buckets)s)::int AS number FROM span
    )
    SELECT first, length, number,
        width_bucket(at, first, first + length * 1.000001, number), count(*)
    FROM read, buckets GROUP BY 1, 2, 3, 4
"""


def arrivals(*, incident: Incident) -> Arrivals:
    """When the incident's alerts occurred, in at most forty buckets of a second or more each."""
    rows = run(
        _ARRIVALS,
        {
            "incident": incident.pk,
            "tenant": incident.tenant_id,
            "limit": PLOTTED,
            "buckets": BUCKETS,
        },
    )
    if not rows:
        return Arrivals(0, [])
    first, length, number, *_ = rows[0]
    counts = {bucket: count for *_, bucket, count in rows}
    start, step = datetime.fromtimestamp(first, UTC), timedelta(seconds=length / number)
    return Arrivals(
        sum(counts.values()),
        [
            Bucket(start + step * place, start + step * (place + 1), counts.get(place + 1, 0))
            for place in range(number)
        ],
    )


_SKETCHES: Final = """
    SELECT w.id, ARRAY(
        SELECT extract(epoch FROM a.occurred_at)::float8 FROM incidents_alert a
        WHERE a.incident_id = w.id ORDER BY a.id DESC LIMIT %s
    ) FROM unnest(%s::uuid[]) AS w(id)
"""


def sketches(*, ids: Sequence[UUID]) -> dict[UUID, list[int]]:
    """The shape of each incident's latest alerts: how many fell in each slice of their time.

    An incident without alerts has no shape: an empty list.
    """
    if not ids:
        return {}
    return {id_: _shape(times) for id_, times in run(_SKETCHES, [SKETCHED, list(ids)])}


def _shape(times: Sequence[float]) -> list[int]:
    if not times:
        return []
    first, span = min(times), max(max(times) - min(times), 1.0)
    counts = [0] * SLICES
    for time in times:
        counts[min(int((time - first) / span * SLICES), SLICES - 1)] += 1
    return counts
