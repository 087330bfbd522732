"""Violations, evaluations, costs and evidence, as callers send and see them."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from config.api.fields import (
    Identifier,
    JsonObject,
    Money,
    Number,
    RunIdentifier,
    Slug50,
    StrictBoolean,
    StrictChar,
    StrictChoice,
    StrictInteger,
    Timestamp,
)
from config.api.serializers import StrictSerializer
from incidents.enums import Outcome
from incidents.serializers.incidents import SEVERITIES, IncidentSummary
from incidents.serializers.runs import EvidenceRow, Occurred, OutcomeLabel, SeverityLabel


def _text(limit: int = 2000) -> StrictChar:
    return StrictChar(max_length=limit, min_length=0, required=False, allow_null=True)


class ViolationRow(serializers.Serializer):
    """A broken policy; ``outcome`` is what became of its first report."""

    id = serializers.UUIDField()
    run_id = serializers.CharField()
    policy_id = serializers.CharField()
    rule_id = serializers.CharField()
    policy_type = serializers.CharField(allow_null=True)
    severity = SeverityLabel()
    reason = serializers.CharField(allow_null=True)
    evaluated_value = serializers.CharField(allow_null=True)
    threshold_condition = serializers.CharField(allow_null=True)
    incident_id = serializers.UUIDField(allow_null=True)
    outcome = OutcomeLabel()
    occurred_at = Timestamp()
    created_at = Timestamp()


class ViolationBody(StrictSerializer):
    """Reports that a run broke a rule of a policy."""

    example: ClassVar[dict[str, Any]] = {
        "run_id": "nightly-42",
        "policy_id": "no-secrets",
        "rule_id": "no-keys",
        "severity": "high",
        "reason": "The answer held a key.",
    }

    run_id = RunIdentifier()
    policy_id = Identifier()
    rule_id = Identifier()
    policy_type = Identifier(required=False, allow_null=True)
    severity = StrictChoice(
        SEVERITIES, required=False, allow_null=True, help_text="Default medium."
    )
    reason = _text()
    evaluated_value = _text()
    threshold_condition = _text()
    evidence = JsonObject(required=False, allow_null=True)
    occurred_at = Occurred(required=False, allow_null=True)


class ViolationAnswer(serializers.Serializer):
    """A violation, its evidence, and what became of this report of it."""

    violation = ViolationRow()
    incident = IncidentSummary(allow_null=True)
    evidence = EvidenceRow(allow_null=True)
    outcome = serializers.ChoiceField([outcome.label for outcome in Outcome])


class TruthChecks(serializers.Serializer):
    violation_recorded = serializers.BooleanField()
    incident_exists = serializers.BooleanField()
    evidence_exists = serializers.BooleanField()
    no_duplicates = serializers.BooleanField()


class TruthAnswer(serializers.Serializer):
    """What is on record of a run's violations of a policy; ``passed`` when all of it is."""

    checks = TruthChecks(source="*")
    passed = serializers.BooleanField()


class EvaluationRow(serializers.Serializer):
    """What checking a run against its policies came to."""

    id = serializers.UUIDField()
    run_id = serializers.CharField()
    outcome = serializers.CharField()
    policies_checked = serializers.IntegerField()
    confidence = serializers.FloatField()
    created_at = Timestamp()


class EvaluationBody(StrictSerializer):
    """Records what checking a run against its policies came to."""

    example: ClassVar[dict[str, Any]] = {
        "run_id": "nightly-42",
        "outcome": "passed",
        "policies_checked": 3,
        "confidence": 0.97,
    }

    run_id = RunIdentifier()
    outcome = StrictChar(max_length=200)
    policies_checked = StrictInteger()
    confidence = Number(min_value=0, max_value=1)


class CostRecordRow(serializers.Serializer):
    """What a request cost."""

    id = serializers.UUIDField()
    request_id = serializers.CharField()
    run_id = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True)
    cost_cents = Money()
    created_at = Timestamp()


class CostRecordBody(StrictSerializer):
    """Records what a request cost."""

    example: ClassVar[dict[str, Any]] = {
        "request_id": "request-7",
        "run_id": "nightly-42",
        "tokens": 512,
        "cost_cents": "0.75",
    }

    request_id = Identifier()
    run_id = RunIdentifier(required=False, allow_null=True)
    model = StrictChar(max_length=200, required=False, allow_null=True)
    tokens = StrictInteger(required=False, allow_null=True)
    cost_cents = Money()


class CostAnomalyRow(serializers.Serializer):
    """Spending out of the ordinary; ``outcome`` is null when it was only recorded."""

    id = serializers.UUIDField()
    anomaly_id = serializers.CharField()
    kind = serializers.CharField()
    severity = SeverityLabel()
    cost_delta_cents = Money()
    title = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    run_id = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)
    incident_id = serializers.UUIDField(allow_null=True)
    outcome = OutcomeLabel(allow_null=True)
    detected_at = Timestamp()
    created_at = Timestamp()


class CostAnomalyBody(StrictSerializer):
    """Reports spending out of the ordinary."""

    example: ClassVar[dict[str, Any]] = {
        "anomaly_id": "anomaly-3",
        "kind": "ABSOLUTE_SPIKE",
        "severity": "high",
        "cost_delta_cents": "250",
    }

    anomaly_id = Identifier()
    kind = Identifier(
        help_text="BUDGET_EXCEEDED, BUDGET_WARNING, ABSOLUTE_SPIKE, SUSTAINED_DRIFT or another."
    )
    severity = StrictChoice(SEVERITIES)
    cost_delta_cents = Money()
    title = StrictChar(max_length=2000, required=False, allow_null=True)
    run_id = RunIdentifier(required=False, allow_null=True)
    agent_id = Identifier(required=False, allow_null=True)
    description = _text()
    detected_at = Occurred(required=False, allow_null=True)


class CostAnomalyAnswer(serializers.Serializer):
    """An anomaly, and what became of this report of it; null when it is only recorded."""

    anomaly = CostAnomalyRow()
    incident = IncidentSummary(allow_null=True)
    outcome = serializers.ChoiceField([outcome.label for outcome in Outcome], allow_null=True)


class EvidenceBody(StrictSerializer):
    """Adds evidence to an incident."""

    example: ClassVar[dict[str, Any]] = {
        "kind": "screenshot",
        "data": {"url": "https://files.example/1.png"},
    }

    kind = Slug50()
    data = JsonObject()  # type: ignore[assignment]
    recovery_executed = StrictBoolean(
        required=False, default=False, help_text="Whether it is of an attempt to recover."
    )
    actor = StrictChar(max_length=100, required=False, allow_null=True)


class PostmortemBody(StrictSerializer):
    """Nothing but who."""

    example: ClassVar[dict[str, Any]] = {"actor": "ada"}

    actor = StrictChar(max_length=100, required=False, allow_null=True)


class PostmortemAnswer(serializers.Serializer):
    """The stub of a post-mortem: Markdown to be written on."""

    postmortem_id = serializers.UUIDField()
    incident = IncidentSummary()
    text = serializers.CharField()
