"""Readings for people who look: how an incident's alerts came, and lists of them at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from config import clock
from config.database.statements import run
from incidents.enums import Status
from incidents.models import Incident

# A plot of a flood reads the latest of it, so that it costs the same however long it lasts.
PLOTTED: Final = 5_000
SKETCHED: Final = 120
SLICES: Final = 16
BUCKETS: Final = 40
# A burst is a peak in a minute, not the whole of a plot.
LEAST: Final = timedelta(minutes=1)


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
        WHERE incident_id = %(incident)s AND tenant_id = %(tenant)s
        ORDER BY created_at DESC LIMIT %(limit)s
    ), span AS (
        SELECT min(at) AS first, greatest(max(at) - min(at), %(least)s) AS length FROM read
    ), buckets AS (
        SELECT first, length, least(ceil(length), %(buckets)s)::int AS number FROM span
    )
    SELECT first, length, number,
        width_bucket(at, first, first + length * 1.000001, number), count(*)
    FROM read, buckets GROUP BY 1, 2, 3, 4
"""


def arrivals(*, incident: Incident) -> Arrivals:
    """When the incident's alerts occurred: a minute or more, in at most forty buckets."""
    rows = run(
        _ARRIVALS,
        {
            "incident": incident.pk,
            "tenant": incident.tenant_id,
            "limit": PLOTTED,
            "buckets": BUCKETS,
            "least": LEAST.total_seconds(),
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
        WHERE a.incident_id = w.id ORDER BY a.created_at DESC LIMIT %s
    ) FROM unnest(%s::uuid[]) AS w(id)
"""


@dataclass(frozen=True, slots=True)
class Sketch:
    """How many of an incident's latest alerts occurred in each slice of the time from ``start``
    to ``end``: to now while it is unresolved, so that one sees whether they stopped.
    """

    start: datetime
    end: datetime
    counts: list[int]


def sketches(*, incidents: Sequence[Incident]) -> dict[UUID, Sketch]:
    """The sketch of each incident that has alerts."""
    if not incidents:
        return {}
    now = clock.now()
    burning = {one.pk for one in incidents if one.status != Status.RESOLVED}
    rows = run(_SKETCHES, [SKETCHED, [one.pk for one in incidents]])
    return {
        id_: _sketch(times, until=now.timestamp() if id_ in burning else None)
        for id_, times in rows
        if times
    }


def _sketch(times: Sequence[float], *, until: float | None) -> Sketch:
    first, last = min(times), max(times)
    end = max(last if until is None else until, last, first + 1.0)
    counts = [0] * SLICES
    for time in times:
        counts[min(int((time - first) / (end - first) * SLICES), SLICES - 1)] += 1
    return Sketch(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(end, UTC), counts)
