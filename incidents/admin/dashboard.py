"""The first page: what burns now, how it went lately, what waits for a decision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from config.backstage import tenants, tenants_seen
from incidents.admin import charts, panels
from incidents.enums import PatternType, Severity, Status
from incidents.services import overview

DAYS: Final = 30
_PATTERNS: Final = {
    PatternType.CATEGORY_CLUSTER: ("Many of one category in 24 h", "category"),
    PatternType.SEVERITY_SPIKE: ("Many unacknowledged in the last hour", "severity"),
    PatternType.CASCADE_FAILURE: ("One run behind several in 24 h", "run_id"),
}


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the dashboard shows, for one tenant or all that the person sees."""
    context["may_see"] = request.user.has_perm("incidents.view_incident")
    if not context["may_see"]:
        return context
    names = list(tenants(request).values_list("pk", flat=True)[:1000])
    chosen = request.GET.get("tenant", "")
    if chosen not in names:
        chosen = ""
    seen = tenants_seen(request)
    wanted = [chosen] if chosen else (None if seen is None else sorted(seen))
    found = overview.of_tenants(tenants=wanted, days=DAYS)
    return context | {
        "title": "Dashboard",
        "is_fullwidth": "1",
        "tenant_names": names,
        "chosen": chosen,
        "days": DAYS,
        "found": found,
        "burning": [
            {
                "severity": one.severity,
                "open": one.open,
                "acknowledged": one.acknowledged,
                "total": one.open + one.acknowledged,
                "href": _list(chosen, topic="active", severity=one.severity.label),
            }
            for one in found.burning
        ],
        "burning_total": sum(one.open + one.acknowledged for one in found.burning),
        "open_href": _list(chosen, topic="all", status="open"),
        "incidents_chart": _incidents_chart(found.days, chosen),
        "calls_chart": _calls_chart(found.days, chosen),
        "categories": [
            {"one": one, "href": _list(chosen, topic="all", category=one.category, since=found)}
            for one in found.categories
        ],
        "incidents_href": _list(chosen, topic="all", since=found),
        "pace": [
            {
                "one": one,
                "acknowledged_href": _list(
                    chosen,
                    topic="all",
                    severity=one.severity.label,
                    acknowledged="yes",
                    since=found,
                ),
                "resolved_href": _list(
                    chosen, topic="resolved", severity=one.severity.label, since=found
                ),
            }
            for one in found.pace
        ],
        "targeted": any(one.acknowledge_target or one.resolve_target for one in found.pace),
        "targets_href": reverse("admin:tenancy_tenant_change", args=[chosen])
        if chosen
        else reverse("admin:tenancy_tenant_changelist"),
        "patterns": [_pattern(one) for one in found.patterns],
        "figures": panels.figures_of(request, wanted),
    }


def _list(tenant: str, since: overview.Overview | None = None, **query: Any) -> str:
    """The list behind a figure."""
    if tenant:
        query["tenant"] = tenant
    if since is not None and since.days:
        query["started_after"] = _midnight(since.days[0].day)
    return f"{_incidents()}?{urlencode(query)}"


@cache
def _incidents() -> str:
    # A dashboard leads there a hundred times.
    return reverse("admin:incidents_incident_changelist")


def _of_day(day: overview.Day, tenant: str, **query: Any) -> str:
    return _list(
        tenant,
        topic="all",
        started_after=_midnight(day.day),
        started_before=_midnight(day.day + timedelta(days=1)),
        **query,
    )


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00"


def _incidents_chart(days: Sequence[overview.Day], tenant: str) -> charts.Chart:
    severities = list(Severity)
    columns = []
    for day in days:
        counts = ", ".join(
            f"{count} {severity.label}"
            for severity, count in reversed(day.by_severity.items())
            if count
        )
        columns.append(
            charts.Column(
                [(severity.label, day.by_severity[severity]) for severity in severities],
                f"{day.day:%d %b}",
                f"{day.day:%a %d %b}: {counts or 'no incidents'}",
                _of_day(day, tenant),
            )
        )
    return charts.bars(
        columns,
        title=f"Incidents started, by day, the last {len(days)} days",
        unit="incidents",
        names=[(severity.label, severity.label) for severity in reversed(severities)],
    )


def _calls_chart(days: Sequence[overview.Day], tenant: str) -> charts.Chart:
    return charts.bars(
        [
            charts.Column(
                [("calls", day.calls)],
                f"{day.day:%d %b}",
                f"{day.day:%a %d %b}: {day.calls:,} calls affected",
                _of_day(day, tenant),
            )
            for day in days
        ],
        title=f"Calls affected, by day, the last {len(days)} days",
        unit="calls",
    )


def _pattern(found: overview.Found) -> dict[str, Any]:
    words, parameter = _PATTERNS[found.pattern.pattern_type]
    query = {
        "topic": "all",
        parameter: found.pattern.dimension,
        "started_after": f"{found.since:%Y-%m-%dT%H:%M:%S}",
    }
    if found.pattern.pattern_type == PatternType.SEVERITY_SPIKE:
        query["status"] = Status.OPEN
    return {
        "words": words,
        "dimension": found.pattern.dimension
        if parameter == "run_id"
        else found.pattern.dimension.replace("_", " "),
        "tenant": found.tenant,
        "count": found.pattern.count,
        "confidence": found.pattern.confidence,
        "href": _list(found.tenant, **query),
    }
