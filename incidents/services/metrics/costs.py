"""What incidents cost, by category."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Status
from incidents.services import rollup
from incidents.services.metrics.units import mean_cents


@dataclass(frozen=True, slots=True)
class CategoryCost:
    """What the incidents of a category cost, in cents; the mean is per incident."""

    category: str
    incidents: int
    calls_affected: int
    cost_delta_cents: Decimal
    mean_cost_delta_cents: Decimal


@dataclass(frozen=True, slots=True)
class CostImpact:
    """The dearest categories of a baseline, the dearest first, and what all of them cost."""

    baseline_days: int
    limit: int
    since: datetime
    incidents: int
    cost_delta_cents: Decimal | None
    categories: list[CategoryCost]


def cost_impact(*, tenant: Tenant, baseline_days: int, limit: int) -> CostImpact:
    """What the incidents of the last days cost, by category."""
    since = clock.now() - timedelta(days=baseline_days)
    relation, parameters = rollup.source(
        rollup.CATEGORIES,
        ("category", "incidents", "calls", "cost"),
        tenant=tenant.pk,
        since=since,
    )
    rows = rollup.read(
        f"SELECT category, sum(incidents)::bigint AS incidents, sum(calls)::bigint, sum(cost) "  # noqa: S608
        f"FROM ({relation} UNION ALL {LIVE_VOLUME}) c GROUP BY category "
        "HAVING sum(incidents) > 0 ORDER BY sum(cost) DESC, sum(incidents) DESC, category",
        [*parameters, tenant.pk, since],
        plan_once=False,
    )
    return CostImpact(
        baseline_days=baseline_days,
        limit=limit,
        since=since,
        incidents=sum(row[1] for row in rows),
        cost_delta_cents=sum((row[3] for row in rows), Decimal(0)) if rows else None,
        categories=[
            CategoryCost(category, incidents, calls, cost, mean_cents(cost, incidents))
            for category, incidents, calls, cost in rows[:limit]
        ],
    )


# The calls and costs of what is not resolved yet, which the sums leave out.
LIVE_VOLUME: Final = f"""
    SELECT i.started_at, COALESCE(i.category, 'uncategorized'), 0,
        i.calls_affected, i.cost_delta_cents
    FROM incidents_incident i
    WHERE i.tenant_id = %s AND i.started_at >= %s AND i.status <> '{Status.RESOLVED}'
"""  # noqa: S608 - only our own constants are interpolated
