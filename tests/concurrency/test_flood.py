"""Promises 1 to 4 with eight processes at once, checked from the database afterwards."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Status
from incidents.models import Alert, Event, Incident, IncidentRun, Run
from tests.concurrency import workers
from tests.concurrency.processes import run_all
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 8


def _flood(tenant: Tenant, *, calls: int, kinds: int, seconds: int) -> Counter[str]:
    edge = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    start = edge - timedelta(seconds=seconds // 2)
    answers = run_all(
        workers.flood,
        [
            {
                "tenant_id": tenant.pk,
                "seed": seed,
                "start": start.isoformat(),
                "calls": calls,
                "kinds": kinds,
                "seconds": seconds,
            }
            for seed in range(WORKERS)
        ],
    )
    totals: Counter[str] = Counter()
    for answer in answers:
        totals.update(answer)
    return totals


def test_flood_of_one_kind_across_a_window_edge_is_one_incident() -> None:
    tenant = Tenant.objects.create(id="flood")
    calls, own = 200, 50
    totals = _flood(tenant, calls=calls, kinds=1, seconds=40)
    sent = WORKERS * (calls + own + calls // 4)
    assert sum(totals.values()) == sent
    incident = Incident.objects.get(tenant=tenant)
    assert incident.calls_affected == incident.alerts_count == calls + WORKERS * own
    assert totals["opened"] == 1
    assert totals["opened"] + totals["aggregated"] == calls + WORKERS * own
    assert totals["duplicate"] == sent - calls - WORKERS * own
    assert_consistent(tenant.pk, received=sent)
    levels = Event.objects.filter(incident=incident, event_type="escalated")
    assert [event.data["to"] for event in levels] == ["critical"]
    assert set(Run.objects.values_list("incident_count", flat=True)) == {1}
    assert IncidentRun.objects.filter(incident=incident).count() == 5


def test_flood_past_the_hourly_limit_overflows_and_drops_nothing() -> None:
    tenant = Tenant.objects.create(id="overflow", incidents_per_hour=5)
    calls, own = 120, 30
    totals = _flood(tenant, calls=calls, kinds=25, seconds=3)
    sent = WORKERS * (calls + own + calls // 4)
    assert sum(totals.values()) == sent
    assert Alert.objects.filter(tenant=tenant).count() == calls + WORKERS * own
    ordinary = Incident.objects.exclude(trigger_type="rate_limit_overflow")
    overflow = Incident.objects.filter(trigger_type="rate_limit_overflow")
    # The hourly limit looks back from an alert's own time: in a burst of three seconds that comes
    # in any order, only those that started later than all the others may be over it.
    assert totals["opened"] == ordinary.count() >= 5
    assert totals["overflowed"] == sum(i.alerts_count for i in overflow) > 0
    newest = ordinary.order_by("started_at").last()
    assert newest is not None
    assert_consistent(tenant.pk, received=sent)


def test_flood_at_one_moment_opens_exactly_the_limit_and_one_overflow() -> None:
    tenant = Tenant.objects.create(id="moment", incidents_per_hour=5)
    totals = _flood(tenant, calls=120, kinds=25, seconds=0)
    assert totals["opened"] == 5
    assert Incident.objects.filter(trigger_type="rate_limit_overflow").count() == 1
    assert Incident.objects.count() == 6
    assert_consistent(tenant.pk, received=sum(totals.values()))


def test_acknowledge_and_resolve_by_several_people_at_once_have_one_winner_each() -> None:
    tenant = Tenant.objects.create(id="people", incidents_per_hour=100)
    _flood(tenant, calls=40, kinds=8, seconds=0)
    count = Incident.objects.count()
    for action in ("acknowledge", "resolve"):
        answers = run_all(
            workers.triage,
            [{"tenant_id": tenant.pk, "action": action, "name": f"p{n}"} for n in range(4)],
        )
        for one_incident in zip(*answers, strict=True):
            assert sorted(one_incident) == ["conflict"] * 3 + ["done"]
        assert Event.objects.filter(event_type=f"{action}d".replace("ee", "e")).count() == count
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.RESOLVED}


def test_resolve_stale_in_several_processes_resolves_each_once() -> None:
    tenant = Tenant.objects.create(id="stale", incidents_per_hour=100)
    _flood(tenant, calls=80, kinds=30, seconds=0)
    count = Incident.objects.count()
    Incident.objects.update(quiet_since=clock.now() - timedelta(seconds=901))
    answers = run_all(workers.resolve_stale, [{}] * 4)
    answers += run_all(workers.resolve_stale, [{}])
    assert sum(answers) == count
    assert Event.objects.filter(event_type="resolved").count() == count
