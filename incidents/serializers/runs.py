"""Runs, their traces and their failures, as callers send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from rest_framework import serializers

from config import clock
from config.api.fields import (
    Identifier,
    JsonObject,
    Money,
    RunIdentifier,
    StrictBoolean,
    StrictChar,
    StrictChoice,
    StrictInteger,
    Timestamp,
)
from config.api.serializers import StrictSerializer
from incidents.enums import FailureType, Outcome, RunStatus, Severity
from incidents.serializers.incidents import SEVERITIES, IncidentSummary
from incidents.services.reports import MAX_AHEAD
from incidents.services.runs import ENDINGS
from incidents.services.traces import MAX_STEPS

MAX_CONTENT_BYTES = 1024 * 1024


class Occurred(Timestamp):
    """When something that is reported happened: at most 5 minutes ahead."""

    def to_internal_value(self, value: Any) -> datetime:
        moment = super().to_internal_value(value)
        if moment > clock.now() + MAX_AHEAD:
            raise serializers.ValidationError("must not be more than 5 minutes ahead")
        return moment


class SeverityLabel(serializers.ChoiceField):
    """A stored severity, as callers spell it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SEVERITIES, **options)

    def to_representation(self, value: Any) -> str:
        return Severity(value).label


class OutcomeLabel(serializers.ChoiceField):
    """A stored outcome, as callers spell it."""

    def __init__(self, **options: Any) -> None:
        super().__init__([outcome.label for outcome in Outcome], **options)

    def to_representation(self, value: Any) -> str:
        return Outcome(value).label


class Content(StrictChar):
    """A step's content: text of at most 1 MiB in UTF-8."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_CONTENT_BYTES, min_length=0, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if len(text.encode()) > MAX_CONTENT_BYTES:
            raise serializers.ValidationError("must be at most 1 MiB of UTF-8")
        return text


class RunRow(serializers.Serializer):
    """A run. What nobody has told of it yet is null."""

    id = serializers.UUIDField()
    run_id = serializers.CharField()
    agent_id = serializers.CharField(allow_null=True)
    goal = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(RunStatus.choices)
    started_at = Timestamp(allow_null=True)
    completed_at = Timestamp(allow_null=True)
    termination_reason = serializers.CharField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    total_tokens = serializers.IntegerField(allow_null=True)
    total_cost_cents = Money(allow_null=True)
    policy_snapshot_id = serializers.CharField(allow_null=True)
    is_synthetic = serializers.BooleanField(allow_null=True)
    synthetic_scenario_id = serializers.CharField(allow_null=True)
    incident_count = serializers.IntegerField(help_text="Incidents of any alert of the run.")
    announced_at = Timestamp(allow_null=True, help_text="Null while only reports have named it.")
    created_at = Timestamp()


class RunBody(StrictSerializer):
    """Announces a run."""

    example: ClassVar[dict[str, Any]] = {
        "run_id": "nightly-42",
        "agent_id": "reconciler",
        "goal": "Reconcile the invoices.",
    }

    run_id = RunIdentifier()
    agent_id = Identifier(required=False, allow_null=True)
    goal = StrictChar(max_length=10_000, min_length=0, required=False, allow_null=True)
    started_at = Timestamp(required=False, allow_null=True)
    policy_snapshot_id = Identifier(required=False, allow_null=True)
    is_synthetic = StrictBoolean(required=False, allow_null=True)
    synthetic_scenario_id = StrictChar(max_length=128, required=False, allow_null=True)


class CompleteBody(StrictSerializer):
    """Ends a run."""

    example: ClassVar[dict[str, Any]] = {
        "status": "succeeded",
        "total_tokens": 8214,
        "total_cost_cents": "14.221",
    }

    status = StrictChoice([str(ending) for ending in ENDINGS])
    completed_at = Timestamp(required=False, allow_null=True)
    termination_reason = StrictChar(max_length=2000, min_length=0, required=False, allow_null=True)
    error = StrictChar(max_length=10_000, min_length=0, required=False, allow_null=True)
    total_tokens = StrictInteger(required=False, allow_null=True)
    total_cost_cents = Money(required=False, allow_null=True)


class StepBody(StrictSerializer):
    """One step of a trace."""

    step_index = StrictInteger()
    timestamp = Timestamp()
    step_type = StrictChar(max_length=200)
    agent_id = Identifier(required=False, allow_null=True)
    tokens = StrictInteger(required=False, allow_null=True)
    cost_cents = Money(required=False, allow_null=True)
    duration_ms = StrictInteger(required=False, allow_null=True)
    status = StrictChar(max_length=200, required=False, allow_null=True)
    content = Content(required=False, allow_null=True)


class TraceBody(StrictSerializer):
    """The whole trace of a run."""

    example: ClassVar[dict[str, Any]] = {
        "trace_id": "trace-42",
        "steps": [
            {
                "step_index": 0,
                "timestamp": "2026-01-31T12:00:00Z",
                "step_type": "tool",
                "content": "GET ledger",
            }
        ],
    }

    trace_id = Identifier()
    steps = StepBody(many=True, max_length=MAX_STEPS)  # type: ignore[call-arg]
    violation_step_index = StrictInteger(required=False, allow_null=True)
    violation_timestamp = Timestamp(required=False, allow_null=True)


class StepRow(serializers.Serializer):
    """A step; ``sha256`` is over its content's UTF-8 bytes."""

    step_index = serializers.IntegerField()
    timestamp = Timestamp()
    step_type = serializers.CharField()
    agent_id = serializers.CharField(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True)
    cost_cents = Money(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    status = serializers.CharField(allow_null=True)
    content = serializers.CharField(allow_null=True)
    sha256 = serializers.CharField(allow_null=True)


class TraceSummary(serializers.Serializer):
    """A trace without its steps; ``incident_id`` is the first that an alert of the run is in."""

    id = serializers.UUIDField()
    run_id = serializers.CharField()
    trace_id = serializers.CharField()
    violation_step_index = serializers.IntegerField(allow_null=True)
    violation_timestamp = Timestamp(allow_null=True)
    incident_id = serializers.UUIDField(allow_null=True)
    step_count = serializers.IntegerField()
    created_at = Timestamp()
    updated_at = Timestamp()


class TraceRow(TraceSummary):
    """A trace with all its steps, in order."""

    steps = StepRow(many=True)


class EvidenceRow(serializers.Serializer):
    """A captured payload; ``sha256`` is over the RFC 8785 form of ``data``."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    sha256 = serializers.CharField()
    recovery_executed = serializers.BooleanField()
    incident_id = serializers.UUIDField(allow_null=True)
    run_id = serializers.CharField(allow_null=True)
    failure_id = serializers.UUIDField(allow_null=True)
    violation_id = serializers.UUIDField(allow_null=True)
    actor = serializers.CharField(allow_null=True)
    via = serializers.CharField()
    created_at = Timestamp()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        answer = super().to_representation(instance)
        # As it was captured: a field would make its numbers and keys into something else.
        answer["data"] = instance.data
        return answer


class FailureRow(serializers.Serializer):
    """A failed call of a run; ``outcome`` is what became of its first report."""

    id = serializers.UUIDField()
    run_id = serializers.CharField()
    request_id = serializers.CharField(allow_null=True)
    failure_type = serializers.ChoiceField(FailureType.choices)
    error_code = serializers.CharField()
    error_message = serializers.CharField(allow_null=True)
    category = serializers.CharField()
    severity = SeverityLabel()
    model = serializers.CharField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    metadata = serializers.DictField(allow_null=True)
    incident_id = serializers.UUIDField(allow_null=True)
    outcome = OutcomeLabel()
    occurred_at = Timestamp()
    created_at = Timestamp()


class FailureDetail(FailureRow):
    """A failure with its evidence."""

    evidence = EvidenceRow(many=True)


class FailureBody(StrictSerializer):
    """Reports a failed call of a run."""

    example: ClassVar[dict[str, Any]] = {
        "failure_type": "timeout",
        "error_code": "EXECUTION_TIMEOUT",
        "error_message": "No answer within 60 s",
        "request_id": "request-7",
    }

    failure_type = StrictChoice(FailureType.choices)
    error_code = StrictChar(max_length=200)
    error_message = StrictChar(max_length=2000, min_length=0, required=False, allow_null=True)
    model = StrictChar(max_length=200, required=False, allow_null=True)
    request_id = Identifier(required=False, allow_null=True)
    duration_ms = StrictInteger(required=False, allow_null=True)
    metadata = JsonObject(required=False, allow_null=True)
    evidence = JsonObject(required=False, allow_null=True)
    occurred_at = Occurred(required=False, allow_null=True)


class FailureAnswer(serializers.Serializer):
    """A failure, and what became of this report of it."""

    failure = FailureRow()
    incident = IncidentSummary(allow_null=True)
    outcome = serializers.ChoiceField([outcome.label for outcome in Outcome])


class ContaminationAnswer(serializers.Serializer):
    """How much else is recorded of exactly this run."""

    cost_records = serializers.IntegerField()
    cost_anomalies = serializers.IntegerField()
    other_incidents = serializers.IntegerField(help_text="Besides those of its failures.")
