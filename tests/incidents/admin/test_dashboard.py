"""Every figure of the dashboard, and the list behind it: the same number, whatever is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, Severity
from incidents.models import Incident, SeverityTarget
from incidents.services import lifecycle, rollup
from lessons.enums import LessonStatus, ProposalStatus
from tests.factories import lessons as learned
from tests.factories.people import incident, person
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

BY = Actor(via="test", name="somebody")
Open = Callable[..., Any]


@pytest.fixture
def house(tenant: Tenant) -> Tenant:
    """Incidents of all kinds; some came later than they happened, some are older than a month."""
    Tenant.objects.filter(pk=tenant.pk).update(incidents_per_hour=1000)
    tenant.refresh_from_db()
    now = clock.now()
    # Two of one run, three of no category, in the last hour.
    for kind in ("a", "b", "c"):
        incident(tenant, kind, calls=3, run_id="run-1" if kind != "c" else None)
    for number in range(4):
        incident(tenant, f"k{number}", trigger_type="freeze", category="stop", cost_delta_cents="2")
    # Reported now, happened long ago: it counts where it started.
    for days in (3, 29, 40):
        incident(tenant, f"late-{days}", category="slow", occurred_at=now - timedelta(days=days))
    for days, acknowledged in ((2, True), (5, True), (6, False), (45, True)):
        with clock.pretend(now - timedelta(days=days)):
            one = incident(tenant, f"old-{days}", category="slow", calls=2, prefix="old")
        with clock.pretend(now - timedelta(days=days) + timedelta(minutes=3)):
            if acknowledged:
                lifecycle.acknowledge(incident=one, by=BY)
        with clock.pretend(now - timedelta(days=days) + timedelta(minutes=90)):
            lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.MANUAL)
    waiting = Incident.objects.filter(group_key="k0").get()
    lifecycle.acknowledge(incident=waiting, by=BY)
    for lesson in (LessonStatus.PENDING, LessonStatus.DISMISSED, LessonStatus.PENDING):
        learned.lesson(tenant, lesson)
    for proposal in (ProposalStatus.DRAFT, ProposalStatus.REJECTED):
        learned.proposal(tenant, proposal)
    rollup.fold()
    # Not folded yet: it counts all the same.
    incident(tenant, "fresh", category="slow")
    return tenant


@pytest.fixture(params=["one of several", "limited to it"])
def home(request: pytest.FixtureRequest, client: Client, house: Tenant) -> Open:
    """The dashboard of that tenant, as a superuser picks it and as its own people have it."""
    stranger = TenantFactory.create()
    incident(stranger, "foreign", calls=7, category="stop")
    if request.param == "limited to it":
        client.force_login(person("administrator", house))
        return lambda: client.get(reverse("admin:index")).context
    client.force_login(person(None))
    return lambda: client.get(reverse("admin:index"), {"tenant": house.pk}).context


def listed(client: Client, href: str) -> list[Incident]:
    """Every incident of a list, page after page."""
    rows: list[Incident] = []
    cursor = ""
    while True:
        answer = client.get(f"{href}&cursor={cursor}" if cursor else href)
        assert answer.status_code == 200
        assert answer.context["form"].is_valid(), answer.context["form"].errors
        rows += answer.context["rows"]
        cursor = answer.context["page"].older or ""
        if not cursor:
            return rows


def test_what_burns_leads_to_as_many(client: Client, home: Open) -> None:
    burning = home()["burning"]
    assert sum(one["total"] for one in burning) == 11
    for one in burning:
        rows = listed(client, one["href"])
        assert len(rows) == one["total"]
        assert {row.get_severity_display() for row in rows} <= {one["severity"].label}
        assert sum(row.status == "open" for row in rows) == one["open"]
    rows = listed(client, home()["open_href"])
    assert len(rows) == sum(one["open"] for one in burning)
    oldest = home()["found"].oldest
    assert oldest == sorted(rows, key=lambda row: row.started_at)[:5]


def test_sums_of_the_month_lead_to_what_they_are_of(client: Client, home: Open) -> None:
    context = home()
    found = context["found"]
    rows = listed(client, context["incidents_href"])
    assert len(rows) == found.incidents == 13
    assert sum(row.calls_affected for row in rows) == found.calls
    cost = sum((row.cost_delta_cents for row in rows), Decimal(0))
    assert cost == found.cost_cents == 8
    categories = {row["one"].category: row for row in context["categories"]}
    assert set(categories) == {"uncategorized", "stop", "slow"}
    for row in categories.values():
        behind = listed(client, row["href"])
        assert len(behind) == row["one"].incidents
        assert sum(one.calls_affected for one in behind) == row["one"].calls
        assert sum(one.cost_delta_cents for one in behind) == row["one"].cost_cents


def test_bars_lead_to_their_day(client: Client, home: Open) -> None:
    context = home()
    days = context["found"].days
    incidents, calls = context["incidents_chart"].bars, context["calls_chart"].bars
    assert len(incidents) == len(calls) == len(days) == 30
    for day, bar, other in zip(days, incidents, calls, strict=True):
        number = sum(day.by_severity.values())
        if number or day is days[-1]:
            assert len(listed(client, bar.href)) == number
            assert sum(row.calls_affected for row in listed(client, other.href)) == day.calls


def test_means_lead_to_what_they_are_of(client: Client, home: Open) -> None:
    pace = home()["pace"]
    assert sum(row["one"].acknowledged for row in pace) == 3
    assert sum(row["one"].resolved for row in pace) == 3
    for row in pace:
        acknowledged = listed(client, row["acknowledged_href"])
        assert len(acknowledged) == row["one"].acknowledged
        assert all(one.acknowledged_at for one in acknowledged)
        assert len(listed(client, row["resolved_href"])) == row["one"].resolved


def test_patterns_lead_to_as_many(client: Client, home: Open) -> None:
    patterns = home()["patterns"]
    kinds = {one["words"] for one in patterns}
    assert len(kinds) == 3
    for one in patterns:
        assert len(listed(client, one["href"])) == one["count"], one


def test_what_waits_leads_to_as_many(client: Client, home: Open) -> None:
    figures = {figure.name: figure for figure in home()["figures"]}
    assert {name: figure.value for name, figure in figures.items()} == {
        "Lessons waiting": "2",
        "Proposals waiting": "1",
    }
    for figure in figures.values():
        behind = client.get(figure.href).context["cl"].result_list
        assert str(len(behind)) == figure.value


def test_targets_are_set_beside_the_means(client: Client, home: Open, house: Tenant) -> None:
    assert not home()["targeted"]
    SeverityTarget.objects.create(
        tenant=house, severity=Severity.HIGH, acknowledge_seconds=60, resolve_seconds=86_400
    )
    context = home()
    assert context["targeted"]
    address = reverse("admin:index")
    page = client.get(address, {"tenant": house.pk}).content.decode()
    assert "over target" in page
    assert "on target" in page
