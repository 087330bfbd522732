"""Replaces the historical trend and cost trend of the incidents facade: readings by period.

A period is a day, a week from Monday or a month of a time zone's own calendar. Where they begin
is worked out here, from the zone's rules, so that the day on which clocks are put forward has its
23 hours; the database only sorts moments between those beginnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Severity, Status
from incidents.services import rollup
from incidents.services.metrics import mean_cents, milliseconds


class Granularity(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """One period of the zone's calendar: its first day, and the moments it begins and ends."""

    first_day: date
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class TrendPeriod:
    """What started in a period; means in milliseconds, null where there is nothing to average."""

    period: Period
    incidents: int
    low: int
    medium: int
    high: int
    critical: int
    resolved: int
    mean_time_to_acknowledge_ms: float | None
    mean_time_to_resolve_ms: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """A window by period, the earliest first. The first and the last may be cut by the window."""

    window_days: int
    granularity: Granularity
    tz: str
    since: datetime
    periods: list[TrendPeriod]


@dataclass(frozen=True, slots=True)
class CostPeriod:
    """What the incidents that started in a period cost, in cents; null where there are none."""

    period: Period
    incidents: int
    calls_affected: int
    cost_delta_cents: Decimal | None
    mean_cost_delta_cents: Decimal | None


@dataclass(frozen=True, slots=True)
class CostTrend:
    """As :class:`Trend`, for costs."""

    window_days: int
    granularity: Granularity
    tz: str
    since: datetime
    periods: list[CostPeriod]


_COUNTS: Final = ("incidents", *(s.label for s in Severity), "resolved")
_TIMES: Final = ("acknowledge_count", "acknowledge_us", "resolve_us")
_VOLUME: Final = ("incidents", "calls", "cost")

_LIVE_VOLUME: Final = f"""
    SELECT started_at, 0, calls_affected, cost_delta_cents FROM incidents_incident
    WHERE tenant_id = %s AND started_at >= %s AND status <> '{Status.RESOLVED}'
"""  # noqa: S608 - only our own constants are interpolated


def trend(*, tenant: Tenant, window_days: int, granularity: Granularity, tz: ZoneInfo) -> Trend:
    """How many incidents started in each period of the last days, and how soon they ended."""
    now = clock.now()
    since = now - timedelta(days=window_days)
    periods = periods_of(since, now, granularity, tz)
    sums = _by_period(tenant.pk, since, periods, (*_COUNTS, *_TIMES))
    return Trend(
        window_days,
        granularity,
        tz.key,
        since,
        [
            TrendPeriod(
                period=period,
                incidents=int(found["incidents"]),
                low=int(found["low"]),
                medium=int(found["medium"]),
                high=int(found["high"]),
                critical=int(found["critical"]),
                resolved=int(found["resolved"]),
                mean_time_to_acknowledge_ms=_mean(
                    found["acknowledge_us"], found["acknowledge_count"]
                ),
                mean_time_to_resolve_ms=_mean(found["resolve_us"], found["resolved"]),
            )
            for period, found in zip(periods, sums, strict=True)
        ],
    )


def cost_trend(
    *, tenant: Tenant, window_days: int, granularity: Granularity, tz: ZoneInfo
) -> CostTrend:
    """What the incidents that started in each period of the last days cost."""
    now = clock.now()
    since = now - timedelta(days=window_days)
    periods = periods_of(since, now, granularity, tz)
    sums = _by_period(
        tenant.pk, since, periods, _VOLUME, f"UNION ALL {_LIVE_VOLUME}", [tenant.pk, since]
    )
    return CostTrend(
        window_days,
        granularity,
        tz.key,
        since,
        [
            CostPeriod(
                period,
                int(found["incidents"]),
                int(found["calls"]),
                Decimal(found["cost"]) if found["incidents"] else None,
                mean_cents(found["cost"], int(found["incidents"])) if found["incidents"] else None,
            )
            for period, found in zip(periods, sums, strict=True)
        ],
    )


def periods_of(
    since: datetime, until: datetime, granularity: Granularity, tz: ZoneInfo
) -> list[Period]:
    """The periods of a zone's calendar from the one that ``since`` is in to that of ``until``."""
    day = _first_day(since.astimezone(tz).date(), granularity)
    periods = []
    start = _midnight(day, tz)
    while start <= until:
        following = _next(day, granularity)
        end = _midnight(following, tz)
        periods.append(Period(day, start, end))
        day, start = following, end
    return periods


def _first_day(day: date, granularity: Granularity) -> date:
    if granularity is Granularity.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity is Granularity.MONTH else day


def _next(day: date, granularity: Granularity) -> date:
    if granularity is Granularity.MONTH:
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if granularity is Granularity.WEEK else 1)


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    """When a day begins. One whose midnight the clocks skip begins as they are put forward."""
    return datetime.combine(day, time_of_day(), tzinfo=tz).astimezone(UTC)


def _by_period(
    tenant: str,
    since: datetime,
    periods: Sequence[Period],
    columns: Sequence[str],
    also: str = "",
    also_parameters: Sequence[Any] = (),
) -> list[dict[str, Any]]:
    """The sums of some columns, by name, in each period; what started later is left out."""
    edges = [period.start for period in periods] + [periods[-1].end]
    relation, parameters = rollup.source(
        rollup.HOURS, columns, tenant=tenant, since=since, edges=edges
    )
    rows = rollup.read(
        f"SELECT width_bucket(at, %s::timestamptz[]), "  # noqa: S608 - our own names
        f"{', '.join(f'sum({name})' for name in columns)} "
        f"FROM ({relation} {also}) s GROUP BY 1",
        [edges, *parameters, *also_parameters],
        plan_once=False,
    )
    sums = {place: dict(zip(columns, values, strict=True)) for place, *values in rows}
    nothing = dict.fromkeys(columns, 0)
    return [sums.get(place, nothing) for place in range(1, len(periods) + 1)]


def _mean(total: Any, count: Any) -> float | None:
    return milliseconds(Fraction(int(total), int(count))) if count else None
