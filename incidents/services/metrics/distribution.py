"""How the incidents of a window are spread over severities, states, categories and causes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import CauseType, ResolutionMethod, Severity, Status
from incidents.services import rollup


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many incidents of a window there are of each kind."""

    window_days: int
    since: datetime
    total: int
    by_severity: dict[str, int]
    by_status: dict[str, int]
    by_category: dict[str, int]
    by_cause_type: dict[str, int]
    by_resolution_method: dict[str, int]


_DISTRIBUTED: Final = (
    "incidents",
    "open",
    "acknowledged",
    *ResolutionMethod.values,
    *CauseType.values,
)


def distribution(*, tenant: Tenant, window_days: int) -> Distribution:
    """How the incidents of the last days are spread; categories by number, then by name."""
    since = clock.now() - timedelta(days=window_days)
    by_day, parameters = rollup.source(
        rollup.DAYS, ("severity", *_DISTRIBUTED), tenant=tenant.pk, since=since
    )
    by_category, more = rollup.source(
        rollup.CATEGORIES, ("category", "incidents"), tenant=tenant.pk, since=since
    )
    nothing = ", ".join(["0"] * (len(_DISTRIBUTED) - 1))
    rows = rollup.read(
        f"SELECT severity, NULL, {', '.join(f'sum({name})::bigint' for name in _DISTRIBUTED)} "  # noqa: S608
        f"FROM ({by_day}) d GROUP BY severity UNION ALL "
        f"SELECT NULL, category, sum(incidents)::bigint, {nothing} "
        f"FROM ({by_category}) c GROUP BY category",
        [*parameters, *more],
    )
    severities = {severity.label: 0 for severity in Severity}
    sums = dict.fromkeys(_DISTRIBUTED, 0)
    categories: dict[str, int] = {}
    for severity, category, *counts in rows:
        if severity is None:
            categories[category] = counts[0]
            continue
        severities[Severity(severity).label] = counts[0]
        for name, count in zip(_DISTRIBUTED, counts, strict=True):
            sums[name] += count
    methods = {method: sums[method] for method in ResolutionMethod.values}
    return Distribution(
        window_days=window_days,
        since=since,
        total=sums["incidents"],
        by_severity=severities,
        by_status={
            Status.OPEN.value: sums["open"],
            Status.ACKNOWLEDGED.value: sums["acknowledged"],
            Status.RESOLVED.value: sum(methods.values()),
        },
        by_category={
            category: count
            for category, count in sorted(categories.items(), key=lambda item: (-item[1], item[0]))
            if count
        },
        by_cause_type={cause: sums[cause] for cause in CauseType.values},
        by_resolution_method=methods,
    )
