"""Promises 1 to 4 with eight processes at once, checked from the database afterwards."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Outcome, Status
from incidents.models import Alert, Event, Incident, IncidentRun, Run
from incidents.services import aggregation
from incidents.services.reports import Report
from tests.concurrency import workers
from tests.concurrency.processes import run_all
from tests.factories.tenancy import issue_key
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
    ordinary = list(Incident.objects.exclude(trigger_type="rate_limit_overflow"))
    overflow = Incident.objects.filter(trigger_type="rate_limit_overflow")
    assert totals["opened"] == len(ordinary) >= 5
    assert totals["overflowed"] == sum(one.alerts_count for one in overflow) > 0
    # Starts only ever move to earlier times: what was over the limit when it came is so now.
    starts = [one.started_at for one in ordinary]
    for alert in Alert.objects.filter(outcome=Outcome.OVERFLOWED):
        assert sum(start <= alert.occurred_at for start in starts) >= 5
    # And what opened an incident found fewer than the limit.
    created = {one.pk: one.created_at for one in ordinary}
    opening = list(Alert.objects.filter(outcome=Outcome.OPENED).order_by("id"))
    opening.sort(key=lambda alert: created[alert.incident_id])
    for place, alert in enumerate(opening):
        assert sum(other.occurred_at <= alert.occurred_at for other in opening[:place]) < 5
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


def test_acknowledge_by_two_over_http_answers_one_of_them_409() -> None:
    tenant = Tenant.objects.create(id="people")
    _, key = issue_key(tenant)
    opened = aggregation.absorb(
        tenant=tenant,
        alerts=[Report(trigger_type="a", group_key=str(number)) for number in range(10)],
    )
    for action in ("acknowledge", "resolve"):
        answers = run_all(
            workers.triage_over_http,
            [
                {
                    "key": key,
                    "action": action,
                    "name": name,
                    "ids": [str(id_) for id_ in opened.incidents],
                }
                for name in ("Ada", "Bo")
            ],
        )
        for one_incident in zip(*answers, strict=True):
            assert sorted(one_incident) == [(200, None), (409, "invalid_transition")]


def test_resolve_stale_in_several_processes_resolves_each_once() -> None:
    tenant = Tenant.objects.create(id="stale", incidents_per_hour=100)
    _flood(tenant, calls=80, kinds=30, seconds=0)
    count = Incident.objects.count()
    Incident.objects.update(quiet_since=clock.now() - timedelta(seconds=901))
    answers = run_all(workers.resolve_stale, [{}] * 4)
    answers += run_all(workers.resolve_stale, [{}])
    assert sum(answers) == count
    assert Event.objects.filter(event_type="resolved").count() == count
