"""What was recorded of an incident: failures, violations, evidence, and the rules in force then."""

from __future__ import annotations

from datetime import datetime

from django.db.models import BooleanField, F, Func, Q, TextField
from django.db.models.functions import Cast

from exports.services.assembly.runs import Hashed
from exports.services.assembly.traffic import alerts_of
from exports.services.assembly.values import moment
from exports.services.documents import EvidenceFacts, FailureFacts, RuleFacts, ViolationFacts
from incidents.enums import RuleMode, Severity
from incidents.models import Evidence, Failure, Incident, Prevention, RuleRevision, Violation
from incidents.models.rule import MATCHED


def failures(incident: Incident) -> list[FailureFacts]:
    """The failures that were reported into the incident, in their own order."""
    found = Failure.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk)
    return [
        {
            "id": str(failure.pk),
            "run_id": failure.run_id,
            "failure_type": str(failure.failure_type),
            "error_code": failure.error_code,
            "error_message": failure.error_message,
            "model": failure.model,
            "request_id": failure.request_id,
            "duration_ms": failure.duration_ms,
            "occurred_at": moment(failure.occurred_at),
        }
        for failure in found.order_by("occurred_at", "id")
    ]


def violations(incident: Incident) -> list[ViolationFacts]:
    """The violations that were reported into the incident, in their own order."""
    found = Violation.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk)
    return [
        {
            "id": str(violation.pk),
            "run_id": violation.run_id,
            "policy_id": violation.policy_id,
            "rule_id": violation.rule_id,
            "policy_type": violation.policy_type,
            "severity": Severity(violation.severity).label,  # type: ignore[typeddict-item]
            "reason": violation.reason,
            "evaluated_value": violation.evaluated_value,
            "threshold_condition": violation.threshold_condition,
            "occurred_at": moment(violation.occurred_at),
        }
        for violation in found.order_by("occurred_at", "id")
    ]


def evidence(incident: Incident) -> tuple[list[EvidenceFacts], int]:
    """The captured payloads as they were hashed, and how many still have their hash."""
    text = Cast("data", TextField())
    found = (
        Evidence.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk)
        .defer("data")
        .annotate(
            text=text,
            intact=Func(
                Hashed(text),
                F("sha256"),
                template="(%(expressions)s)",
                arg_joiner=" = ",
                output_field=BooleanField(),
            ),
        )
        .order_by("created_at", "id")
    )
    rows = list(found)
    listed: list[EvidenceFacts] = [
        {
            "id": str(row.pk),
            "kind": row.kind,
            "captured_at": moment(row.created_at),
            "captured_by": row.actor,
            "via": row.via,
            "run_id": row.run_id,
            "sha256": row.sha256,
            "recovery_executed": row.recovery_executed,
            "data": row.text,
        }
        for row in rows
    ]
    return listed, sum(row.intact for row in rows)


def rules_in_force(incident: Incident, *, at: datetime) -> list[RuleFacts]:
    """Every revision of a rule for this kind of incident that was in force at some time between
    its start and its end (``at``, while it is not resolved), by when it came into force.
    """
    end = incident.resolved_at or at
    revisions = RuleRevision.objects.filter(
        tenant_id=incident.tenant_id, created_at__lte=end
    ).order_by("created_at", "rule_id", "number")
    until: dict[tuple[object, int], datetime] = {
        (revision.rule_id, revision.number - 1): revision.created_at for revision in revisions
    }
    return [
        {
            "id": str(revision.rule_id),
            "name": revision.name,
            "revision": revision.number,
            "policy_type": revision.policy_type,
            "mode": str(revision.mode),  # type: ignore[typeddict-item]
            "matches": _conditions(revision),
            "in_force_since": moment(revision.created_at),
            "in_force_until": moment(replaced),
            "preventions": Prevention.objects.filter(
                rule_id=revision.rule_id,
                tenant_id=incident.tenant_id,
                revision=revision.number,
                mode=RuleMode.ACTIVE,
                created_at__lte=at,
            ).count(),
        }
        for revision in revisions
        if revision.is_active
        and (
            (replaced := until.get((revision.rule_id, revision.number))) is None
            or replaced > incident.started_at
        )
        and _concerns(revision, incident)
    ]


def _conditions(revision: RuleRevision) -> dict[str, str]:
    return {name: value for name in MATCHED if (value := getattr(revision, name)) is not None}


def _concerns(revision: RuleRevision, incident: Incident) -> bool:
    """Whether the incident, or some alert in it, is what the rule asks for."""
    asked = _conditions(revision)
    if all(getattr(incident, name) == value for name, value in asked.items()):
        return True
    return alerts_of(incident).filter(Q(**asked)).exists()
