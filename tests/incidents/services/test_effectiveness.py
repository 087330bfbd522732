from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import RuleMode
from incidents.models import Incident, PolicyRule
from incidents.services import effectiveness, rules
from tests.factories.lessons import ADA, flood
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOW = clock.now()


@pytest.fixture
def tenant() -> Tenant:
    made: Tenant = TenantFactory.create()
    return made


def opened(tenant: Tenant, days_ago: float, **fields: str) -> Incident:
    with clock.pretend(NOW - timedelta(days=days_ago)):
        (one,) = flood(tenant, calls=2, **fields).incidents
    found: Incident = Incident.objects.get(pk=one)
    return found


def made_from(source: Incident | None, tenant: Tenant, days_ago: float) -> PolicyRule:
    with clock.pretend(NOW - timedelta(days=days_ago)):
        return rules.create(
            tenant=tenant,
            by=ADA,
            name="r",
            mode=RuleMode.ACTIVE,
            agent_id="nobody",  # so that the source may come back
            source_incident_id=source.pk if source else None,
        )


def change(rule: PolicyRule, days_ago: float, **changes: object) -> None:
    with clock.pretend(NOW - timedelta(days=days_ago)):
        rules.update(rule=rule, by=ADA, changes=changes)


def of_rule(rule: PolicyRule) -> effectiveness.Effectiveness:
    with clock.pretend(NOW):
        return effectiveness.of_rule(rule=rule)


def test_of_rule_compares_equal_periods(tenant: Tenant) -> None:
    opened(tenant, 40, group_key="something else")
    source = opened(tenant, 12)
    for days_ago in (11, 10.5, 9, 2):
        opened(tenant, days_ago)
    opened(tenant, 9.5, group_key="something else")
    rule = made_from(source, tenant, 10)
    opened(tenant, 10)  # at the very moment: after
    found = of_rule(rule)
    assert found.before is not None
    assert found.after is not None
    assert found.before.until - found.before.since == 10 * DAY
    assert found.after.until - found.after.since == 10 * DAY
    assert found.before.until == found.after.since == found.activated_at == NOW - 10 * DAY
    assert (found.before.recurrences, found.after.recurrences) == (3, 3)
    assert found.before.cost_delta_cents == Decimal("9")
    assert found.signature == source.signature is not None
    assert "10 days" in found.explanation
    assert found.preventions == 0
    assert found.prevented_cost_cents is None


def test_of_rule_goes_no_further_back_than_the_data(tenant: Tenant) -> None:
    source = opened(tenant, 12)
    found = of_rule(made_from(source, tenant, 10))
    assert found.before is not None
    assert found.after is not None
    assert found.before.since == source.started_at
    assert found.after.until == NOW - 8 * DAY
    assert (found.before.recurrences, found.after.recurrences) == (1, 0)


def test_of_rule_goes_no_further_than_ninety_days(tenant: Tenant) -> None:
    source = opened(tenant, 300)
    found = of_rule(made_from(source, tenant, 150))
    assert found.after is not None
    assert found.after.until == NOW - 60 * DAY


def test_of_rule_without_enough_data(tenant: Tenant) -> None:
    source = opened(tenant, 10)
    for days_ago in (10 - 0.5 / 24, 0.5 / 24):
        found = of_rule(made_from(source, tenant, days_ago))
        assert (found.before, found.after) == (None, None)
        assert "less than an hour" in found.explanation


def test_of_rule_in_shadow(tenant: Tenant) -> None:
    source = opened(tenant, 10)
    rule = made_from(source, tenant, 8)
    change(rule, 8, mode=RuleMode.SHADOW)
    shadow = PolicyRule.objects.get(pk=rule.pk)
    with clock.pretend(NOW - 7 * DAY):
        never = rules.create(
            tenant=tenant,
            by=ADA,
            name="s",
            mode=RuleMode.SHADOW,
            agent_id="checkout-agent",
            source_incident_id=source.pk,
        )
    opened(tenant, 6)
    found = of_rule(never)
    assert (found.activated_at, found.before, found.after) == (None, None, None)
    assert (found.preventions, found.shadow_matches) == (0, 2)
    assert "never active" in found.explanation
    assert of_rule(shadow).before is None  # active for no time at all


def test_of_rule_that_was_made_from_nothing(tenant: Tenant) -> None:
    opened(tenant, 10)
    found = of_rule(made_from(None, tenant, 8))
    assert (found.before, found.after, found.signature) == (None, None, None)
    assert "not made from an incident" in found.explanation


def test_of_rule_goes_by_the_latest_time_it_was_active(tenant: Tenant) -> None:
    source = opened(tenant, 30)
    rule = made_from(source, tenant, 20)
    change(rule, 16, is_active=False)
    change(rule, 13, is_active=True, name="again")
    change(rule, 12, name="renamed")
    change(rule, 11, mode=RuleMode.SHADOW)
    change(rule, 9, name="renamed again")
    opened(tenant, 14)
    opened(tenant, 12.5)
    found = of_rule(PolicyRule.objects.get(pk=rule.pk))
    assert found.activated_at == NOW - 13 * DAY
    assert found.deactivated_at == NOW - 11 * DAY
    assert found.before is not None
    assert found.after is not None
    # Two days active; inactive for three before that.
    assert found.before.since == NOW - 15 * DAY
    assert (found.before.recurrences, found.after.recurrences) == (1, 1)


def test_of_rule_counts_what_it_prevented(tenant: Tenant) -> None:
    source = opened(tenant, 10)
    with clock.pretend(NOW - 8 * DAY):
        rule = rules.create(
            tenant=tenant,
            by=ADA,
            name="r",
            mode=RuleMode.ACTIVE,
            error_code="EXECUTION_TIMEOUT",
            source_incident_id=source.pk,
        )
        flood(tenant, calls=4)
    found = of_rule(rule)
    assert (found.preventions, found.prevented_cost_cents) == (4, Decimal("6"))
    assert found.after is not None
    assert found.after.recurrences == 0


def test_of_rule_by_kind_when_the_source_has_no_signature(tenant: Tenant) -> None:
    source = opened(tenant, 12)
    opened(tenant, 11)
    opened(tenant, 11, error_code="OTHER", group_key="other")
    Incident.objects.update(signature=None)
    found = of_rule(made_from(source, tenant, 10))
    assert found.before is not None
    assert found.before.recurrences == 2
    assert "trigger, group and error code" in found.explanation
