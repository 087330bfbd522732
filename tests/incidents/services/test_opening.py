"""What a batch says of the incidents that it opened, against what the database holds of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from config import clock
from config.tenancy.models import Tenant
from incidents import facts
from incidents.enums import EventType, Outcome, Severity
from incidents.models import Event, Incident
from incidents.services import aggregation
from incidents.services.aggregation.writing import SUMMARY_COLUMNS
from incidents.services.reports import Report
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db
NOW = clock.now().replace(microsecond=0)


def report(kind: str, call: int, **given: object) -> Report:
    values: dict[str, object] = {
        "trigger_type": "rate_limit",
        "group_key": kind,
        "call_id": f"{kind}-{call}",
        "occurred_at": NOW - timedelta(seconds=100 - call),
        "cost_delta_cents": "1.25",
        **given,
    }
    return Report(**values)  # type: ignore[arg-type]


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create(incidents_per_hour=3)
    return tenant


def test_absorb_answers_the_incidents_it_opened_as_the_database_has_them(tenant: Tenant) -> None:
    reports = [
        *(report("a", call) for call in range(60)),
        report("b", 1, category="c", error_code="E", error_message="lost 12", is_synthetic=True),
        report("c", 1, cost_delta_cents=None, call_id=None, trigger_value="> 3"),
        *(report(f"over-{call}", 90 + call) for call in range(4)),
    ]
    absorbed = aggregation.absorb(tenant=tenant, alerts=reports)
    assert absorbed.counts[Outcome.OPENED] == 3
    assert absorbed.counts[Outcome.OVERFLOWED] == 4
    assert len(absorbed.incidents) == Incident.objects.filter(tenant=tenant).count() == 4
    for id_, answered in absorbed.incidents.items():
        kept = Incident.objects.get(pk=id_)
        for name in SUMMARY_COLUMNS:
            assert getattr(answered, name) == getattr(kept, name), name
        assert str(answered.cost_delta_cents) == str(kept.cost_delta_cents)
    busiest = absorbed.incidents[absorbed.incident_ids[0]]
    assert (busiest.calls_affected, busiest.alerts_count) == (60, 60)
    assert busiest.cost_delta_cents == 75
    assert busiest.last_seen_at - busiest.started_at == timedelta(seconds=59)


def test_absorb_escalates_the_incident_it_opens_from_the_severity_of_its_trigger(
    tenant: Tenant,
) -> None:
    absorbed = aggregation.absorb(
        tenant=tenant, alerts=[report("a", call) for call in range(facts.ESCALATION[2][0])]
    )
    (incident,) = absorbed.incidents.values()
    assert incident.severity == Severity.HIGH
    opened, escalated = Event.objects.filter(incident=incident).order_by("id")
    assert (opened.event_type, opened.data["severity"]) == (EventType.OPENED, Severity.MEDIUM)
    assert (escalated.event_type, escalated.data) == (
        EventType.ESCALATED,
        {"from": "medium", "to": "high"},
    )
    assert opened.created_at <= escalated.created_at


def test_absorb_writes_an_incident_once_when_it_opens_it(tenant: Tenant) -> None:
    before = _updates()
    aggregation.absorb(tenant=tenant, alerts=[report("a", call) for call in range(5)])
    assert _updates() == before


def _updates() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'incidents_incident'"
        )
        ((updates,),) = cursor.fetchall()
    return int(updates)


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_absorb_keeps_the_hourly_limit_whatever_was_opened_before(
    tenant: Tenant, before: int
) -> None:
    for number in range(before):
        aggregation.absorb(tenant=tenant, alerts=[report(f"before-{number}", 1)])
    absorbed = aggregation.absorb(tenant=tenant, alerts=[report("x", 1), report("y", 1)])
    opened = min(2, 3 - before)
    assert absorbed.outcomes == [Outcome.OPENED] * opened + [Outcome.OVERFLOWED] * (2 - opened)
