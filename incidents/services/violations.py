"""Replaces the policy violation driver: violations with evidence, the truth check, evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Count

from config import clock
from config.actors import Actor
from config.api.values import format_timestamp
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents import facts
from incidents.enums import Outcome, Severity, SourceType
from incidents.errors import ViolationNotFound
from incidents.models import Alert, Evidence, Incident, Run, Violation
from incidents.services import door, evidence
from incidents.services.reports import Report

EVIDENCE_KIND: Final = "violation"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A violation, and what became of this report of it; ``created`` is false for a repeat."""

    violation: Violation
    incident: Incident | None
    evidence: Evidence | None
    outcome: Outcome
    created: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What is on record of a run's violations of a policy."""

    violation_recorded: bool
    incident_exists: bool
    evidence_exists: bool
    no_duplicates: bool

    @property
    def passed(self) -> bool:
        return (
            self.violation_recorded
            and self.incident_exists
            and self.evidence_exists
            and self.no_duplicates
        )


def record(
    *,
    tenant: Tenant,
    by: Actor,
    run_id: str,
    policy_id: str,
    rule_id: str,
    policy_type: str | None = None,
    severity: Severity = Severity.MEDIUM,
    reason: str | None = None,
    evaluated_value: str | None = None,
    threshold_condition: str | None = None,
    captured: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
) -> Recorded:
    """Records that a run broke a rule of a policy, and captures the evidence.

    It is reported with the trigger ``policy_violation``, grouped by the policy. The violation is
    identified by run, policy and rule: a repeat changes nothing. Without ``captured`` the
    evidence is made of the fields.
    """
    with scope.tenant(tenant.pk):
        if (known := _find(tenant, run_id, policy_id, rule_id)) is not None:
            door.repeat(tenant=tenant, incident=known.incident)
            return _repeated(known)
        at = clock.now()
        occurred_at = occurred_at or at
        run_of_violation = Run.objects.for_tenant(tenant).filter(run_id=run_id).first()
        reported = door.send(
            tenant=tenant,
            report=Report(
                trigger_type=facts.TRIGGER_VIOLATION,
                trigger_value=reason,
                group_key=policy_id,
                # A space is in no identifier: the three cannot run into each other, and no
                # alert of a caller's can have this call_id.
                call_id=f"run {run_id} {policy_id} {rule_id}",
                occurred_at=occurred_at,
                run_id=run_id,
                agent_id=run_of_violation.agent_id if run_of_violation else None,
                category=facts.CATEGORY_OF_VIOLATION,
                is_synthetic=run_of_violation.is_synthetic if run_of_violation else None,
                synthetic_scenario_id=(
                    run_of_violation.synthetic_scenario_id if run_of_violation else None
                ),
                severity=severity,
                title=f"Policy violated: {policy_id}",
                source_type=SourceType.VIOLATION,
            ),
            via=by.via,
        )
        # A concurrent report of the same violation was first.
        if reported.outcome == Outcome.DUPLICATE:
            known = _find(tenant, run_id, policy_id, rule_id)
            if known is not None:
                return _repeated(known)
        violation = Violation.objects.create(
            tenant=tenant,
            run_id=run_id,
            policy_id=policy_id,
            rule_id=rule_id,
            policy_type=policy_type,
            severity=severity,
            reason=reason,
            evaluated_value=evaluated_value,
            threshold_condition=threshold_condition,
            incident=reported.incident,
            outcome=reported.first,
            occurred_at=occurred_at,
            created_at=at,
        )
        kept = evidence.capture(
            tenant_id=tenant.pk,
            by=by,
            at=at,
            kind=EVIDENCE_KIND,
            data=_fields(violation) if captured is None else captured,
            incident_id=violation.incident_id,
            run_id=run_id,
            violation_id=violation.pk,
        )
    return Recorded(violation, reported.incident, kept, reported.outcome, created=True)


def get(*, tenant: Tenant, violation_id: UUID) -> Violation:
    """One violation of the tenant; ViolationNotFound when there is none."""
    violation: Violation | None = (
        Violation.objects.for_tenant(tenant).filter(pk=violation_id).first()
    )
    if violation is None:
        raise ViolationNotFound
    return violation


def truth(*, tenant: Tenant, run_id: str, policy_id: str) -> Truth:
    """What is on record of a run's violations of a policy; nothing is an answer, too.

    No duplicates means that each rule's violation stands once, with one piece of evidence, and
    was counted by one alert.
    """
    own = Violation.objects.for_tenant(tenant).filter(run_id=run_id, policy_id=policy_id)
    found = own.aggregate(
        violations=Count("pk", distinct=True),
        rules=Count("rule_id", distinct=True),
        incidents=Count("incident", distinct=True),
        evidence=Count("evidence", distinct=True),
    )
    alerts = (
        Alert.objects.for_tenant(tenant)
        .filter(
            incident_id__in=own.filter(incident__isnull=False).values("incident_id"),
            trigger_type=facts.TRIGGER_VIOLATION,
            run_id=run_id,
            call_id__in=[
                f"run {run_id} {policy_id} {rule}" for rule in own.values_list("rule_id", flat=True)
            ],
        )
        .count()
    )
    return Truth(
        violation_recorded=found["violations"] > 0,
        incident_exists=found["incidents"] > 0,
        evidence_exists=found["evidence"] > 0,
        no_duplicates=found["violations"] == found["rules"]
        and found["evidence"] <= found["violations"]
        and alerts <= found["violations"],
    )


def _find(tenant: Tenant, run_id: str, policy_id: str, rule_id: str) -> Violation | None:
    violation: Violation | None = (
        Violation.objects.for_tenant(tenant)
        .filter(run_id=run_id, policy_id=policy_id, rule_id=rule_id)
        .select_related("incident")
        .first()
    )
    return violation


def _repeated(violation: Violation) -> Recorded:
    kept = Evidence.objects.filter(tenant_id=violation.tenant_id, violation=violation).first()
    return Recorded(violation, violation.incident, kept, Outcome.DUPLICATE, created=False)


def _fields(violation: Violation) -> dict[str, Any]:
    fields = {
        "run_id": violation.run_id,
        "policy_id": violation.policy_id,
        "rule_id": violation.rule_id,
        "policy_type": violation.policy_type,
        "severity": Severity(violation.severity).label,
        "reason": violation.reason,
        "evaluated_value": violation.evaluated_value,
        "threshold_condition": violation.threshold_condition,
        "occurred_at": format_timestamp(violation.occurred_at),
    }
    return {name: value for name, value in fields.items() if value is not None}
