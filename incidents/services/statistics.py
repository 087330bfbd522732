"""Replaces the statistics of the incident aggregator, and accounts for everything received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config import clock
from config.tenancy.models import AggregationConfig, Tenant
from incidents.enums import Outcome, Severity, Status
from incidents.services import rollup

_COLUMNS: Final = (
    "incidents",
    *(severity.label for severity in Severity),
    *Status.values,
    "calls",
)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of the incidents that started at or after ``since``, and the facts in force.

    ``open`` is the state; ``calls_affected`` sums each incident's distinct calls.
    """

    since: datetime
    total: int
    open: int
    acknowledged: int
    resolved: int
    low: int
    medium: int
    high: int
    critical: int
    calls_affected: int
    config: AggregationConfig


def of_tenant(*, tenant: Tenant, since: datetime | None = None) -> Statistics:
    """The statistics of a tenant; by default of its last ``statistics_hours``."""
    since = since or _default_since(tenant)
    relation, parameters = rollup.source(rollup.HOURS, _COLUMNS, tenant=tenant.pk, since=since)
    sums = ", ".join(f"COALESCE(sum({name}), 0)::bigint" for name in _COLUMNS)
    ((*counts, live_calls),) = rollup.read(
        f"SELECT {sums}, {_LIVE_CALLS} FROM ({relation}) s",  # noqa: S608 - our own names
        [tenant.pk, since, *parameters],
    )
    found = dict(zip(_COLUMNS, counts, strict=True))
    return Statistics(
        since=since,
        total=found.pop("incidents"),
        calls_affected=found.pop("calls") + live_calls,
        config=tenant.aggregation,
        **found,
    )


_LIVE_CALLS: Final = f"""
    (SELECT COALESCE(sum(calls_affected), 0)::bigint FROM incidents_incident
    WHERE tenant_id = %s AND started_at >= %s AND status <> '{Status.RESOLVED}')
"""  # noqa: S608 - only our own constants are interpolated


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of everything that was received from the hour of ``since`` on."""

    since: datetime
    counted_from: datetime
    received: int
    opened: int
    aggregated: int
    overflowed: int
    prevented: int
    duplicate: int
    rejected: int


def accounting(*, tenant: Tenant, since: datetime | None = None) -> Accounting:
    """The outcomes of a tenant's reports, by when they were received, in whole hours of UTC."""
    since = since or _default_since(tenant)
    hour = rollup.floor(since, rollup.HOUR)
    outcomes = ("received", *(outcome.label for outcome in Outcome))
    sums = ", ".join(f"COALESCE(sum({name}), 0)::bigint" for name in outcomes)
    (counts,) = rollup.read(
        f"SELECT {sums} FROM incidents_outcometally WHERE tenant_id = %s AND hour >= %s",  # noqa: S608
        [tenant.pk, hour],
    )
    return Accounting(since, hour, *counts)


def _default_since(tenant: Tenant) -> datetime:
    return clock.now() - timedelta(hours=tenant.aggregation.statistics_hours)
