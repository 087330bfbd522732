"""The alerts that were folded into an incident: how many, when, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    BigIntegerField,
    Count,
    F,
    Func,
    Max,
    Min,
    QuerySet,
    Sum,
)

from config.database.statements import run
from exports.services.assembly.values import moment, money
from exports.services.documents import Series, SeriesPoint
from incidents.enums import SourceType
from incidents.models import Alert, Incident

# As many as a chart can show.
MOST_POINTS: Final = 60
_DAY: Final = 86_400
_LENGTHS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the alerts amount to; ``calls`` are distinct, ``first`` and ``last`` their own times."""

    alerts: int
    calls: int
    cost: Decimal
    first: datetime | None
    last: datetime | None


def alerts_of(incident: Incident) -> QuerySet[Alert]:
    return Alert.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk)


def measure(incident: Incident) -> Traffic:
    """Counted from the alerts themselves, not from the incident's counters."""
    # A call counts once in all but an overflow incident, where several triggers may name it.
    distinct = incident.source_type == SourceType.OVERFLOW
    found: dict[str, Any] = alerts_of(incident).aggregate(
        alerts=Count("*"),
        calls=Count("call_id", distinct=distinct),
        cost=Sum("cost_delta_cents", default=Decimal()),
        first=Min("occurred_at"),
        last=Max("occurred_at"),
    )
    return Traffic(**found)


# In which bucket of so many seconds a moment is.
_BUCKET: Final = "floor(extract(epoch FROM {at}) / {length})::bigint"
_FIRST_SEEN: Final = f"""
SELECT {_BUCKET.format(at="first", length="%s")}, count(*) FROM (
    SELECT min(occurred_at) AS first FROM incidents_alert
    WHERE tenant_id = %s AND incident_id = %s AND call_id IS NOT NULL GROUP BY call_id
) calls GROUP BY 1
"""  # noqa: S608 - only our own constants are interpolated


def series(incident: Incident, traffic: Traffic) -> Series:
    """The alerts over time, in at most MOST_POINTS buckets of a round length."""
    if traffic.first is None or traffic.last is None:
        return {"bucket_seconds": 60, "points": []}
    length = bucket_length(traffic.first, traffic.last)
    rows = (
        alerts_of(incident)
        .order_by()
        .values(
            bucket=Func(
                F("occurred_at"),
                template=_BUCKET.format(at="%(expressions)s", length=length),
                output_field=BigIntegerField(),
            )
        )
        .annotate(
            alerts=Count("*"),
            calls=Count("call_id"),
            cost=Sum("cost_delta_cents", default=Decimal()),
        )
    )
    found: dict[int, dict[str, Any]] = {row["bucket"]: dict(row) for row in rows}
    if incident.source_type == SourceType.OVERFLOW:
        # A call that several triggers name counts where it was first seen.
        calls = dict(run(_FIRST_SEEN, [length, incident.tenant_id, incident.pk]))
        for bucket, point in found.items():
            point["calls"] = calls.get(bucket, 0)
    nothing = {"alerts": 0, "calls": 0, "cost": Decimal()}
    return {
        "bucket_seconds": length,
        "points": [
            _point(bucket * length, found.get(bucket, nothing))
            for bucket in range(min(found), max(found) + 1)
        ],
    }


def bucket_length(first: datetime, last: datetime) -> int:
    """Seconds, so that no more than MOST_POINTS buckets hold both moments."""
    begins, ends = ((at - _EPOCH) // timedelta(seconds=1) for at in (first, last))
    for length in _LENGTHS:
        if ends // length - begins // length < MOST_POINTS:
            return length
    days = (ends - begins) // _DAY // (MOST_POINTS - 1) + 1
    return days * _DAY


def _point(seconds: int, row: dict[str, Any]) -> SeriesPoint:
    return {
        "at": moment(_EPOCH + timedelta(seconds=seconds)),
        "alerts": row["alerts"],
        "calls": row["calls"],
        "cost_cents": money(row["cost"]),
    }
