"""Backtests, checked against counting by hand over the same alerts."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from config import clock
from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, ResolutionType, RuleMode, Severity
from incidents.models import Alert, Incident
from incidents.models.rule import MATCHED
from incidents.services import aggregation, backtest, lifecycle, rules
from incidents.services.reports import Report
from tests.factories.lessons import ADA, flood, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    made: Tenant = TenantFactory.create()
    return made


def by_hand(tenant: Tenant, given: dict[str, str], days: int) -> dict[str, Any]:
    """The answer, by going through every alert of every incident."""
    since = clock.now() - timedelta(days=days)
    alerts, prevented = 0, []
    for one in Incident.objects.filter(tenant=tenant):
        matching = [
            alert
            for alert in Alert.objects.filter(incident=one)
            if alert.occurred_at >= since
            and all(getattr(alert, name) == value for name, value in given.items())
        ]
        alerts += len(matching)
        if matching and len(matching) == one.alerts_count:
            prevented.append(one)
    prevented.sort(key=lambda one: (one.alerts_count, one.pk), reverse=True)
    severities = Counter(Severity(one.severity).label for one in prevented)
    return {
        "alerts": alerts,
        "incidents": len(prevented),
        "by_severity": {severity.label: severities[severity.label] for severity in Severity},
        "real": sum(one.resolution_type == ResolutionType.REAL for one in prevented),
        "largest": [one.pk for one in prevented[:10]],
    }


def in_service(tenant: Tenant, given: dict[str, str], days: int) -> dict[str, Any]:
    found = backtest.run(tenant=tenant, days=days, **given)
    return {
        "alerts": found.alerts_prevented,
        "incidents": found.incidents_prevented,
        "by_severity": found.by_severity,
        "real": found.resolved_as_real,
        "largest": [one.pk for one in found.largest],
    }


def make_history(tenant: Tenant, chance: random.Random) -> None:
    """Incidents of mixed alerts over a hundred days, some of them overflowing and resolved."""
    now = clock.now()
    for days in sorted((chance.uniform(0, 100) for _ in range(40)), reverse=True):
        at = now - timedelta(days=days)
        reports = [
            Report(
                trigger_type=chance.choice(("t1", "t1", "t2")),
                group_key=f"g{chance.randrange(2)}",
                call_id=f"call-{at.timestamp()}-{number}",
                occurred_at=at + timedelta(seconds=number),
                error_code=chance.choice(("E1", "E1", "E1", "E2", None)),
                category=chance.choice(("c1", None)),
                agent_id=chance.choice(("a1", "a1", "a2")),
            )
            for number in range(chance.randrange(1, 5))
        ]
        with clock.pretend(at):
            absorbed = aggregation.absorb(tenant=tenant, alerts=reports)
            for one in absorbed.incidents.values():
                if chance.random() < 0.7:
                    lifecycle.resolve(
                        incident=one,
                        by=ADA,
                        method=ResolutionMethod.MANUAL,
                        type=chance.choice([None, *ResolutionType]),
                    )


@pytest.mark.parametrize("seed", range(4))
def test_run_agrees_with_counting_by_hand(tenant: Tenant, seed: int) -> None:
    chance = random.Random(seed)
    tenant.incidents_per_hour = 1
    tenant.save()
    make_history(tenant, chance)
    make_history(TenantFactory.create(), chance)
    with clock.pretend(clock.now()):
        values = {
            "trigger_type": ["t1", "t2", "t3"],
            "error_code": ["E1", "E2"],
            "category": ["c1"],
            "agent_id": ["a1", "a2"],
        }
        found = 0
        for _ in range(25):
            names = chance.sample(MATCHED, chance.randrange(1, 4))
            given = {name: chance.choice(values[name]) for name in names}
            days = chance.choice((10, 45, 90, 365))
            expected = by_hand(tenant, given, days)
            assert in_service(tenant, given, days) == expected
            found += expected["incidents"]
    assert found
    assert Incident.objects.filter(tenant=tenant, source_type="overflow").exists()


def test_run_counts_an_incident_only_when_every_alert_matches(tenant: Tenant) -> None:
    flood(tenant, calls=3, group_key="g")
    flood(tenant, calls=1, group_key="g", error_code="OTHER")
    found = backtest.run(tenant=tenant, error_code="EXECUTION_TIMEOUT")
    assert (found.alerts_prevented, found.incidents_prevented, found.largest) == (3, 0, [])
    found = backtest.run(tenant=tenant, trigger_type="failure_spike")
    assert (found.alerts_prevented, found.incidents_prevented) == (4, 1)


def test_run_of_an_incident_that_began_before_the_days_asked_for(tenant: Tenant) -> None:
    tenant.cooldown_seconds = 86_400
    tenant.save()
    now = clock.now()
    for hours in (36, 20, 4):
        with clock.pretend(now - timedelta(hours=hours)):
            flood(tenant, calls=2, group_key="g")
    assert Incident.objects.count() == 1
    with clock.pretend(now):
        found = backtest.run(tenant=tenant, error_code="EXECUTION_TIMEOUT", days=1)
        assert (found.alerts_prevented, found.incidents_prevented) == (4, 0)
        found = backtest.run(tenant=tenant, error_code="EXECUTION_TIMEOUT", days=2)
        assert (found.alerts_prevented, found.incidents_prevented) == (6, 1)


def test_run_lists_the_ten_largest(tenant: Tenant) -> None:
    sizes = list(range(1, 13))
    for calls in sizes:
        incident(tenant, calls=calls)
    found = backtest.run(tenant=tenant, category="execution_failure")
    assert [one.alerts_count for one in found.largest] == sorted(sizes, reverse=True)[:10]
    assert found.incidents_prevented == 12


def test_run_leaves_out_what_was_prevented_already(tenant: Tenant) -> None:
    rules.create(tenant=tenant, by=ADA, name="r", mode=RuleMode.ACTIVE, error_code="E1")
    flood(tenant, calls=5, error_code="E1")
    found = backtest.run(tenant=tenant, error_code="E1")
    assert (found.alerts_prevented, found.incidents_prevented) == (0, 0)


def test_run_says_what_an_active_rule_then_does(tenant: Tenant) -> None:
    """The promise of a backtest: the same reports, sent again, are prevented as it said."""
    facts = [("E1", "a"), ("E1", "b"), ("E2", "a"), (None, "a")]
    for number, (code, agent) in enumerate(facts):
        flood(tenant, calls=number + 1, group_key=f"g{number}", error_code=code, agent_id=agent)
    for given in ({"error_code": "E1"}, {"agent_id": "a"}, {"error_code": "E1", "agent_id": "a"}):
        said = backtest.run(tenant=tenant, **given)
        other = TenantFactory.create()
        rules.create(tenant=other, by=ADA, name="r", mode=RuleMode.ACTIVE, **given)
        opened = 0
        for number, (code, agent) in enumerate(facts):
            flood(other, calls=number + 1, group_key=f"g{number}", error_code=code, agent_id=agent)
        prevented = Alert.objects.filter(tenant=other, incident=None).count()
        opened = Incident.objects.filter(tenant=other).count()
        assert said.alerts_prevented == prevented
        assert said.incidents_prevented == len(facts) - opened


def test_run_without_any_field(tenant: Tenant) -> None:
    with pytest.raises(Invalid, match="at least one"):
        backtest.run(tenant=tenant)
