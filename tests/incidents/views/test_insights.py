from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.models import SeverityTarget
from incidents.services import aggregation, rollup
from incidents.services.reports import Report
from tests.config.api.conftest import ApiClient
from tests.factories.reading import NOW, incident
from tests.factories.tenancy import TenantFactory
from tests.statements import counted

pytestmark = pytest.mark.django_db

INSIGHTS = "/api/v1/insights/"
READINGS = {
    "stats/": {"total": 0, "open": 0, "critical": 0, "calls_affected": 0},
    "accounting/": {"received": 0, "rejected": 0},
    "metrics/": {"window_days": 30, "total": 0, "oldest_unresolved": None},
    "patterns/": {"window_hours": 24, "limit": 10, "patterns": []},
    "recurrence/": {"baseline_days": 30, "threshold": 3, "limit": 20, "groups": []},
    "recurrence/some/": {"baseline_days": 30, "occurrences": 0, "occurrences_per_day": None},
    "cost-impact/": {"baseline_days": 30, "limit": 20, "cost_delta_cents": None},
    "trend/": {"window_days": 90, "granularity": "week", "tz": "UTC"},
    "cost-trend/": {"window_days": 90, "granularity": "week", "tz": "UTC"},
    "distribution/": {"window_days": 90, "total": 0, "by_category": {}},
    "../categories/some/learnings/": {"baseline_days": 30, "resolution_rate": None},
}


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with clock.pretend(NOW):
        yield


def address(reading: str) -> str:
    return "/api/v1/" + reading[3:] if reading.startswith("../") else INSIGHTS + reading


@pytest.mark.parametrize("reading", READINGS)
def test_insight_of_a_tenant_without_incidents(
    reading: str, call: Callable[..., ApiClient]
) -> None:
    incident(TenantFactory.create(), category="some", severity=Severity.CRITICAL)
    answer = call("read").get(address(reading))
    assert answer.status_code == 200
    body = answer.json()
    assert {name: body[name] for name in READINGS[reading]} == READINGS[reading]
    assert not numbers_that_claim(body), "a figure without data is null"


def numbers_that_claim(value: Any, name: str = "") -> list[str]:
    """The means, medians, rates and costs that are not null."""
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in numbers_that_claim(one, key)]
    if isinstance(value, list):
        return [found for one in value for found in numbers_that_claim(one, name)]
    claims = ("mean", "median", "rate", "cost_delta_cents", "met", "breached", "per_day")
    return [name] if value is not None and name.endswith(claims) else []


@pytest.mark.parametrize("reading", READINGS)
def test_insight_refuses_unknown_and_repeated_parameters(reading: str, api: ApiClient) -> None:
    name = {"stats/": "since", "accounting/": "since", "patterns/": "window_hours"}.get(
        reading, "baseline_days" if "baseline_days" in READINGS[reading] else "window_days"
    )
    answer = api.get(f"{address(reading)}?surprise=1&{name}=30&{name}=30")
    assert answer.status_code == 400
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/surprise", f"/{name}"}


@pytest.mark.parametrize(
    ("reading", "name", "values"),
    [
        ("stats/", "since", ("yesterday", "2026-01-01", "2026-01-01T00:00:00", "")),
        ("accounting/", "since", ("1969-12-31T23:59:59Z",)),
        ("metrics/", "window_days", ("0", "91", "1.5", "30d", "-1", "", "1e1")),
        ("patterns/", "window_hours", ("0", "169", "24h")),
        ("patterns/", "limit", ("0", "51")),
        ("recurrence/", "baseline_days", ("0", "91")),
        ("recurrence/", "threshold", ("1", "101")),
        ("recurrence/", "limit", ("0", "51")),
        ("recurrence/some/", "threshold", ("1", "101")),
        ("recurrence/some/", "limit", ("5",)),
        ("cost-impact/", "baseline_days", ("0", "91")),
        ("cost-impact/", "limit", ("0", "51")),
        ("trend/", "window_days", ("6", "366")),
        ("trend/", "granularity", ("hour", "Week", "")),
        ("trend/", "tz", ("Mars/Olympus", "+02:00", "europe/berlin", "localtime", "")),
        ("cost-trend/", "window_days", ("6", "366")),
        ("cost-trend/", "tz", ("Berlin",)),
        ("distribution/", "window_days", ("6", "366")),
        ("distribution/", "tz", ("UTC",)),
        ("../categories/some/learnings/", "baseline_days", ("0", "91")),
    ],
)
def test_insight_refuses_what_is_out_of_range(
    reading: str, name: str, values: tuple[str, ...], api: ApiClient
) -> None:
    for value in values:
        answer = api.get(address(reading), {name: value})
        assert answer.status_code == 400, value
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("category", ["Bad", "two%20words", "a" * 51])
@pytest.mark.parametrize("address", ["insights/recurrence/{}/", "categories/{}/learnings/"])
def test_insight_refuses_a_category_that_cannot_be(
    address: str, category: str, api: ApiClient
) -> None:
    answer = api.get(f"/api/v1/{address.format(category)}")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/category"]


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize("reading", ["stats/", "accounting/"])
def test_insight_since_the_first_and_the_last_moment(
    reading: str, since: str, tenant: Tenant, api: ApiClient
) -> None:
    incident(tenant)
    answer = api.get(INSIGHTS + reading, {"since": since})
    assert answer.status_code == 200
    assert answer.json()["since"] == since
    if reading == "stats/":
        assert answer.json()["total"] == (1 if since.startswith("1970") else 0)


@pytest.mark.parametrize(
    ("reading", "query"),
    [
        ("metrics/", {"window_days": "90"}),
        ("patterns/", {"window_hours": "168", "limit": "50"}),
        ("recurrence/", {"baseline_days": "90", "threshold": "100", "limit": "50"}),
        ("cost-impact/", {"baseline_days": "1", "limit": "1"}),
        ("trend/", {"window_days": "365", "granularity": "day", "tz": "Asia/Kathmandu"}),
        ("cost-trend/", {"window_days": "7", "granularity": "month", "tz": "America/Havana"}),
        ("distribution/", {"window_days": "7"}),
    ],
)
def test_insight_repeats_the_parameters_in_force(
    reading: str, query: dict[str, str], api: ApiClient
) -> None:
    body = api.get(address(reading), query).json()
    assert {name: str(body[name]) for name in query} == query


@pytest.mark.parametrize("reading", READINGS)
def test_insight_needs_the_read_scope(reading: str, call: Callable[..., ApiClient]) -> None:
    assert call("ingest", "triage").get(address(reading)).status_code == 403


@pytest.mark.parametrize("reading", READINGS)
def test_insight_takes_a_fixed_number_of_queries(
    reading: str, tenant: Tenant, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for severity in Severity:
        SeverityTarget.objects.create(
            tenant=tenant, severity=severity, acknowledge_seconds=60, resolve_seconds=600
        )
    incident(tenant, category="some", acknowledged_after=timedelta(minutes=1))
    api.get(address(reading))
    counts = []
    for _ in range(2):
        with counted(monkeypatch) as statements:
            assert api.get(address(reading)).status_code == 200
        counts.append(len(statements))
        for number in range(15):
            incident(
                tenant,
                category="some" if number % 2 else None,
                severity=Severity(1 + number % 4),
                resolved_after=timedelta(minutes=number) if number % 3 else None,
                acknowledged_after=timedelta(seconds=number) if number % 4 else None,
                started_at=NOW - timedelta(minutes=number),
                runs=("one-run",),
            )
    # Besides its own: the key, the role of its tenant, and a transaction's ends.
    assert counts[0] <= counts[1] <= counts[0] + 2
    assert counts[1] <= 12, statements


def test_stats_of_the_last_hours_and_of_longer(tenant: Tenant, api: ApiClient) -> None:
    incident(tenant, severity=Severity.CRITICAL, calls_affected=4)
    incident(tenant, resolved_after=timedelta(hours=1), calls_affected=3)
    incident(tenant, started_at=NOW - timedelta(hours=25), calls_affected=90)
    body = api.get(INSIGHTS + "stats/").json()
    assert body["since"] == "2026-11-04T10:20:30.123456Z"
    assert (body["total"], body["open"], body["critical"]) == (2, 1, 1)
    assert body["calls_affected"] == 7
    assert body["config"]["incidents_per_hour"] == 20
    Tenant.objects.filter(pk=tenant.pk).update(statistics_hours=26)
    assert api.get(INSIGHTS + "stats/").json()["total"] == 3
    longer = api.get(INSIGHTS + "stats/", {"since": "2026-11-05T10:00:00+02:00"}).json()
    assert (longer["since"], longer["total"]) == ("2026-11-05T08:00:00Z", 2)


def test_accounting_adds_up_to_what_was_received(tenant: Tenant, api: ApiClient) -> None:
    reports = [
        Report(trigger_type="freeze", group_key=f"g{number}", call_id="c") for number in range(25)
    ]
    aggregation.absorb(tenant=tenant, alerts=reports, rejected=3)
    body = api.get(INSIGHTS + "accounting/").json()
    assert body.pop("counted_from") == "2026-11-04T10:00:00Z"
    assert body.pop("since") == "2026-11-04T10:20:30.123456Z"
    assert body == {
        "received": 28,
        "opened": 1,
        "aggregated": 0,
        "overflowed": 0,
        "prevented": 0,
        "duplicate": 24,
        "rejected": 3,
    }
    later = api.get(INSIGHTS + "accounting/", {"since": "2026-11-05T11:00:00Z"}).json()
    assert later["received"] == 0


def test_metrics_of_some_incidents(tenant: Tenant, api: ApiClient) -> None:
    SeverityTarget.objects.create(tenant=tenant, severity=Severity.HIGH, resolve_seconds=600)
    for minutes in (5, 10, 31):
        incident(
            tenant,
            severity=Severity.HIGH,
            acknowledged_after=timedelta(seconds=minutes),
            resolved_after=timedelta(minutes=minutes),
        )
    body = api.get(INSIGHTS + "metrics/").json()
    assert body["time_to_acknowledge_ms"] == {"count": 3, "mean": 15333.333, "median": 10000.0}
    assert body["time_to_resolve_ms"] == {"count": 3, "mean": 920000.0, "median": 600000.0}
    levels = {level.pop("severity"): level for level in body["service_levels"]}
    nothing = {"target_seconds": None, "met": None, "breached": None, "pending": None}
    kept = {"target_seconds": 600, "met": 2, "breached": 1, "pending": 0}
    assert levels["high"] == {"acknowledge": nothing, "resolve": kept}
    assert levels["low"] == {"acknowledge": nothing, "resolve": nothing}


def test_trend_has_periods_of_the_zone(tenant: Tenant, api: ApiClient) -> None:
    incident(
        tenant, started_at=NOW.replace(day=1, hour=18, minute=40), cost_delta_cents=Decimal("2.5")
    )
    query = {"window_days": 7, "granularity": "day", "tz": "Asia/Kolkata"}
    periods = api.get(INSIGHTS + "trend/", query).json()["periods"]
    assert [period["period"] for period in periods if period["incidents"]] == ["2026-11-02"]
    assert len(periods) == 8
    assert periods[4]["start"] == "2026-11-01T18:30:00Z"
    assert periods[5] == {
        "period": "2026-11-03",
        "start": "2026-11-02T18:30:00Z",
        "end": "2026-11-03T18:30:00Z",
        "incidents": 0,
        "low": 0,
        "medium": 0,
        "high": 0,
        "critical": 0,
        "resolved": 0,
        "mean_time_to_acknowledge_ms": None,
        "mean_time_to_resolve_ms": None,
    }
    costs = api.get(INSIGHTS + "cost-trend/", query).json()["periods"]
    assert costs[4]["cost_delta_cents"] == costs[4]["mean_cost_delta_cents"] == "2.5000"
    assert costs[5]["cost_delta_cents"] is None


@pytest.mark.parametrize("folded", [False, True])
def test_trend_cuts_the_hour_in_which_a_day_begins(
    folded: bool, tenant: Tenant, api: ApiClient
) -> None:
    for minute in (10, 29, 30, 50):
        incident(tenant, started_at=NOW.replace(day=1, hour=18, minute=minute, second=0))
    if folded:
        rollup.fold()
    query = {"window_days": 7, "granularity": "day", "tz": "Asia/Kolkata"}
    periods = api.get(INSIGHTS + "trend/", query).json()["periods"]
    assert [(one["period"], one["incidents"]) for one in periods if one["incidents"]] == [
        ("2026-11-01", 2),
        ("2026-11-02", 2),
    ]


def test_patterns_have_the_form_of_the_contract(tenant: Tenant, api: ApiClient) -> None:
    members = [incident(tenant, category="a", runs=("run-1",)) for _ in range(3)]
    body = api.get(INSIGHTS + "patterns/").json()
    ids = [str(member.pk) for member in sorted(members, key=lambda i: i.pk, reverse=True)]
    assert body["patterns"] == [
        {
            "pattern_type": "category_cluster",
            "dimension": "a",
            "count": 3,
            "incident_ids": ids,
            "confidence": 0.5,
        },
        {
            "pattern_type": "cascade_failure",
            "dimension": "run-1",
            "count": 3,
            "incident_ids": ids,
            "confidence": 0.85,
        },
    ]


def test_insights_never_count_another_tenants_incidents(
    tenant: Tenant, call: Callable[..., ApiClient]
) -> None:
    for number in range(4):
        incident(tenant, category="some", runs=(f"r{number % 2}",), resolved_after=timedelta(1))
    stranger = call(of=TenantFactory.create())
    before = {reading: stranger.get(address(reading)).json() for reading in READINGS}
    empty = call(of=TenantFactory.create())
    assert before == {reading: empty.get(address(reading)).json() for reading in READINGS}
    assert str(tenant.pk) not in json.dumps(before)
