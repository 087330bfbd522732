"""Replaces the policy half of the incident writes: rules, their revisions, and who suppresses what.

Every change takes the tenant's rule set first, so that changes come one after the other and each
has a version of its own; reports read that version (see :mod:`incidents.services.matching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from config import clock
from config.actors import Actor
from config.api.values import UUID_TEXT
from config.database.statements import run
from config.errors import FieldError, Invalid
from config.operations import audit
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import RuleMode
from incidents.errors import RuleNotFound
from incidents.models import PolicyRule, RuleRevision
from incidents.models.rule import MATCHED
from incidents.services import matching

# What a caller decides about a rule, and what every revision keeps.
FIELDS: Final = ("name", "policy_type", "mode", "is_active", *MATCHED)


def create(
    *,
    tenant: Tenant,
    by: Actor,
    name: str,
    mode: RuleMode,
    is_active: bool = True,
    policy_type: str | None = None,
    trigger_type: str | None = None,
    error_code: str | None = None,
    category: str | None = None,
    agent_id: str | None = None,
    source_proposal_id: UUID | None = None,
    source_lesson_id: UUID | None = None,
    source_incident_id: UUID | None = None,
) -> PolicyRule:
    """A new rule, with its first revision; it binds every report received from then on.

    Invalid when it asks nothing of a report.
    """
    with scope.tenant(tenant.pk):
        _lock(tenant.pk)
        at = clock.now()
        rule = PolicyRule(
            tenant=tenant,
            name=name,
            mode=mode,
            is_active=is_active,
            policy_type=policy_type,
            trigger_type=trigger_type,
            error_code=error_code,
            category=category,
            agent_id=agent_id,
            source_proposal_id=source_proposal_id,
            source_lesson_id=source_lesson_id,
            source_incident_id=source_incident_id,
            created_at=at,
            updated_at=at,
        )
        _check(rule)
        rule.save(force_insert=True)
        _revise(rule, by=by, at=at)
        _audit("rule created", rule, by=by, data=_state(rule))
    return rule


def update(*, rule: PolicyRule, by: Actor, changes: Mapping[str, Any]) -> PolicyRule:
    """The rule with these fields (of ``FIELDS``) set, and the revision that says so.

    Setting what is set already is no change, and makes no revision. Invalid when the rule would
    ask nothing of a report any more.
    """
    with scope.tenant(rule.tenant_id):
        _lock(rule.tenant_id)
        current = PolicyRule.objects.for_tenant(rule.tenant_id).filter(pk=rule.pk).first()
        if current is None:
            raise RuleNotFound
        before = _state(current)
        for name, value in changes.items():
            if name not in before:
                raise LookupError(f"a rule has no field {name}")
            setattr(current, name, value)
        _check(current)
        after = _state(current)
        if before == after:
            return current
        at = clock.now()
        current.revision += 1
        current.updated_at = at
        current.save()
        _revise(current, by=by, at=at)
        changed = {
            name: {"from": before[name], "to": after[name]}
            for name in FIELDS
            if before[name] != after[name]
        }
        _audit("rule changed", current, by=by, data=changed)
    return current


def get(*, tenant: Tenant, rule_id: UUID) -> PolicyRule:
    """One rule of the tenant; RuleNotFound when there is none."""
    rule: PolicyRule | None = PolicyRule.objects.for_tenant(tenant).filter(pk=rule_id).first()
    if rule is None:
        raise RuleNotFound
    return rule


def in_force(*, tenant: Tenant, at: datetime) -> list[RuleRevision]:
    """The rules that were active at a moment, each as it was then, newest rule first."""
    latest = (
        RuleRevision.objects.for_tenant(tenant)
        .filter(created_at__lte=at)
        .order_by("rule_id", "-number")
        .distinct("rule_id")
    )
    found = [revision for revision in latest if revision.is_active]
    return sorted(found, key=lambda revision: revision.rule_id, reverse=True)


def is_enabled(*, tenant: Tenant, policy: str) -> bool:
    """Whether an active rule has this id, or this policy type."""
    wanted = Q(policy_type=policy)
    if UUID_TEXT.fullmatch(policy):
        wanted |= Q(pk=UUID(policy))
    return bool(PolicyRule.objects.for_tenant(tenant).filter(wanted, is_active=True).exists())


def suppressing(
    *,
    tenant: Tenant,
    trigger_type: str,
    error_code: str | None = None,
    category: str | None = None,
    agent_id: str | None = None,
) -> PolicyRule | None:
    """The active-mode rule that would keep such a report out of the incidents, if one would."""
    (version,) = next(
        iter(run("SELECT version FROM incidents_ruleset WHERE tenant_id = %s", [tenant.pk])),
        (None,),
    )
    rules = matching.in_force(tenant.pk, version)
    found = rules.match((trigger_type, error_code, category, agent_id))
    if found is None or not found.prevents:
        return None
    return get(tenant=tenant, rule_id=found.rule_id)


def matches(fields: Mapping[str, str | None]) -> Q:
    """The condition under which a row of reports (alerts, say) matches a rule with these fields.

    Takes the names in ``MATCHED``; what is absent or None is not asked for. For a backtest:
    ``Alert.objects.for_tenant(t).filter(rules.matches(fields))``.
    """
    asked = {name: fields[name] for name in MATCHED if fields.get(name) is not None}
    if not asked:
        raise _asks_nothing()
    return Q(**asked)


def _lock(tenant_id: str) -> None:
    run(
        "INSERT INTO incidents_ruleset (tenant_id, version) VALUES (%s, %s) "
        "ON CONFLICT (tenant_id) DO UPDATE SET version = excluded.version",
        [tenant_id, clock.uuid7()],
    )


def _check(rule: PolicyRule) -> None:
    if all(getattr(rule, name) is None for name in MATCHED):
        raise _asks_nothing()


def _state(rule: PolicyRule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in FIELDS}


def _audit(action: str, rule: PolicyRule, *, by: Actor, data: dict[str, Any]) -> None:
    audit.record(action, by=by, tenant_id=rule.tenant_id, target=f"rule {rule.pk}", data=data)


def _asks_nothing() -> Invalid:
    return Invalid([FieldError("", f"at least one of {', '.join(MATCHED)} is required")])


def _revise(rule: PolicyRule, *, by: Actor, at: datetime) -> None:
    RuleRevision.objects.create(
        tenant_id=rule.tenant_id,
        rule=rule,
        number=rule.revision,
        actor=by.name,
        via=by.via,
        created_at=at,
        **{name: getattr(rule, name) for name in FIELDS},
    )
