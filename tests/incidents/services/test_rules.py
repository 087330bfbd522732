from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from config import clock
from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import Outcome, RuleMode
from incidents.models import Alert, Incident, Prevention, RuleRevision, Run
from incidents.services import aggregation, rules
from incidents.services.reports import Report
from tests.factories.facts import BY, alert, fail, make_rule, spend, violate
from tests.factories.tenancy import TenantFactory
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def outcomes(absorbed: aggregation.Absorbed) -> list[str]:
    return [Outcome(outcome).label for outcome in absorbed.outcomes]


def test_an_active_rule_prevents_and_its_repeat_is_a_duplicate(tenant: Tenant) -> None:
    rule = make_rule(tenant, error_code="E")
    first = alert(tenant, call_id="c", error_code="E", run_id="r", cost_delta_cents="2")
    assert outcomes(first) == ["prevented"]
    assert first.incident_ids == [None]
    prevention = Prevention.objects.get()
    assert (prevention.rule_id, prevention.mode, prevention.revision) == (rule.pk, "active", 1)
    assert (prevention.call_id, prevention.run_id, prevention.incident_id) == ("c", "r", None)
    again = alert(tenant, call_id="c", error_code="E")
    assert outcomes(again) == ["duplicate"]
    assert again.incident_ids == [None]
    assert Prevention.objects.count() == 1
    assert not Incident.objects.exists()
    assert Run.objects.get().incident_count == 0
    assert_consistent(tenant.pk, received=2)


def test_a_shadow_rule_records_that_it_would_have(tenant: Tenant) -> None:
    make_rule(tenant, RuleMode.SHADOW, trigger_type="rate_limit")
    absorbed = alert(tenant)
    assert outcomes(absorbed) == ["opened"]
    prevention = Prevention.objects.get()
    assert (prevention.mode, prevention.incident_id) == ("shadow", absorbed.incident_ids[0])


def test_a_call_counted_before_a_rule_is_a_duplicate_not_prevented(tenant: Tenant) -> None:
    counted = alert(tenant, call_id="c", error_code="E")
    make_rule(tenant, error_code="E")
    again = alert(tenant, call_id="c", error_code="E")
    assert outcomes(again) == ["duplicate"]
    assert again.incident_ids == counted.incident_ids
    assert not Prevention.objects.exists()


def test_a_mixed_batch_puts_every_report_where_it_belongs(tenant: Tenant) -> None:
    make_rule(tenant, error_code="E")
    make_rule(tenant, RuleMode.SHADOW, error_code="S")
    codes = ["E", None, "S", "E", "EE", "E%"]
    absorbed = aggregation.absorb(
        tenant=tenant,
        alerts=[
            *(Report(trigger_type="x", call_id=f"c{n}", error_code=c) for n, c in enumerate(codes)),
            Report(trigger_type="x", call_id="c0", error_code="E"),
        ],
    )
    assert outcomes(absorbed) == [
        "prevented", "opened", "aggregated", "prevented", "aggregated", "aggregated", "duplicate",
    ]  # fmt: skip
    incident = Incident.objects.get()
    assert (incident.calls_affected, incident.alerts_count) == (4, 4)
    assert Prevention.objects.filter(mode="active").count() == 2
    assert Prevention.objects.get(mode="shadow").incident_id == incident.pk
    assert_consistent(tenant.pk, received=7)


def test_rules_apply_to_every_kind_of_report(tenant: Tenant) -> None:
    make_rule(tenant, error_code="STEP_FAILURE")
    make_rule(tenant, category="policy_violation")
    make_rule(tenant, agent_id="spender")
    assert fail(tenant).outcome == Outcome.PREVENTED
    assert violate(tenant).outcome == Outcome.PREVENTED
    assert spend(tenant, agent_id="spender").outcome == Outcome.PREVENTED
    assert Prevention.objects.count() == 3
    assert fail(tenant).outcome == Outcome.DUPLICATE
    assert_consistent(tenant.pk, received=4)


def test_a_rule_of_another_tenant_is_nothing_here(tenant: Tenant) -> None:
    make_rule(TenantFactory.create(), trigger_type="rate_limit")
    assert outcomes(alert(tenant)) == ["opened"]


def test_every_change_binds_at_once_and_is_kept(tenant: Tenant) -> None:
    rule = make_rule(tenant, error_code="E")
    assert outcomes(alert(tenant, error_code="E")) == ["prevented"]
    rule = rules.update(rule=rule, by=BY, changes={"error_code": "F"})
    assert outcomes(alert(tenant, error_code="E")) == ["opened"]
    assert outcomes(alert(tenant, error_code="F")) == ["prevented"]
    rule = rules.update(rule=rule, by=BY, changes={"is_active": False})
    assert outcomes(alert(tenant, error_code="F")) == ["aggregated"]
    rules.update(rule=rule, by=BY, changes={"is_active": False})
    revisions = RuleRevision.objects.filter(rule=rule).order_by("number")
    assert [(r.number, r.error_code, r.is_active) for r in revisions] == [
        (1, "E", True),
        (2, "F", True),
        (3, "F", False),
    ]
    assert {(r.actor, r.via) for r in revisions} == {("Ada", "test key")}
    assert [p.revision for p in Prevention.objects.order_by("id")] == [1, 2]


def test_in_force_tells_the_rules_as_they_were_then(tenant: Tenant) -> None:
    start = clock.now()
    with clock.pretend(start + timedelta(seconds=1)):
        rule = make_rule(tenant, error_code="E")
    with clock.pretend(start + timedelta(seconds=3)):
        rules.update(rule=rule, by=BY, changes={"name": "renamed", "mode": RuleMode.SHADOW})
    with clock.pretend(start + timedelta(seconds=5)):
        rules.update(rule=rule, by=BY, changes={"is_active": False})

    def then(seconds: int) -> list[tuple[int, str, str]]:
        found = rules.in_force(tenant=tenant, at=start + timedelta(seconds=seconds))
        return [(revision.number, revision.name, revision.mode) for revision in found]

    assert then(0) == []
    assert then(2) == [(1, "a rule", "active")]
    assert then(4) == [(2, "renamed", "shadow")]
    assert then(6) == []


def test_a_rule_that_asks_nothing_is_refused(tenant: Tenant) -> None:
    with pytest.raises(Invalid):
        make_rule(tenant)
    rule = make_rule(tenant, error_code="E")
    with pytest.raises(Invalid):
        rules.update(rule=rule, by=BY, changes={"error_code": None})
    assert RuleRevision.objects.count() == 1


def test_is_enabled_goes_by_id_or_policy_type(tenant: Tenant) -> None:
    rule = make_rule(tenant, RuleMode.SHADOW, error_code="E", policy_type="retry_policy")
    for policy in (str(rule.pk), "retry_policy"):
        assert rules.is_enabled(tenant=tenant, policy=policy)
        assert not rules.is_enabled(tenant=TenantFactory.create(), policy=policy)
    for policy in ("retry", "retry_policy2", "retry_polic_", str(clock.uuid7())):
        assert not rules.is_enabled(tenant=tenant, policy=policy)
    rules.update(rule=rule, by=BY, changes={"is_active": False})
    assert not rules.is_enabled(tenant=tenant, policy="retry_policy")


def test_suppressing_names_the_rule_that_prevents(tenant: Tenant) -> None:
    assert rules.suppressing(tenant=tenant, trigger_type="x") is None
    rule = make_rule(tenant, error_code="E")
    make_rule(tenant, RuleMode.SHADOW, error_code="S")
    assert rules.suppressing(tenant=tenant, trigger_type="x", error_code="E") == rule
    assert rules.suppressing(tenant=tenant, trigger_type="x", error_code="S") is None


def test_matches_finds_the_alerts_a_rule_would_have_met(tenant: Tenant) -> None:
    alert(tenant, error_code="E", agent_id="a")
    alert(tenant, error_code="E", agent_id="b")
    alert(tenant, error_code="E_", agent_id="a")
    found = Alert.objects.for_tenant(tenant).filter(rules.matches({"error_code": "E"}))
    assert found.count() == 2
    both: dict[str, Any] = {"error_code": "E", "agent_id": "a", "category": None}
    assert Alert.objects.for_tenant(tenant).filter(rules.matches(both)).count() == 1
    with pytest.raises(Invalid):
        rules.matches({})


@pytest.mark.parametrize("with_rules", [False, True])
def test_absorb_asks_no_more_for_more_alerts(
    tenant: Tenant, with_rules: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if with_rules:
        make_rule(tenant, error_code="E")
        make_rule(tenant, RuleMode.SHADOW, error_code="S")
        alert(tenant, error_code="E")
    alert(tenant, error_code="X")

    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counting(self: Any, statement: str, *args: Any, **options: Any) -> Any:
        statements.append(statement)
        return execute(self, statement, *args, **options)

    def asked(count: int) -> int:
        batch = [
            Report(trigger_type="rate_limit", error_code=("E", "S", "X")[n % 3])
            for n in range(count)
        ]
        statements.clear()
        aggregation.absorb(tenant=tenant, alerts=batch)
        return len(statements)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    few, many = asked(3), asked(300)
    assert few == many
    # Entering, reading the state, recording, locking, counting, leaving, with a savepoint's two;
    # and what was prevented.
    assert few == (9 if with_rules else 8)
