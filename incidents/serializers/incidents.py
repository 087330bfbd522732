"""Incidents, their alerts and their timeline, as callers send and see them."""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast

from rest_framework import serializers

from config.api.fields import (
    Identifier,
    JsonObject,
    Money,
    RunIdentifier,
    Slug50,
    StrictBoolean,
    StrictChar,
    StrictChoice,
    StrictList,
    Timestamp,
    Uuid,
)
from config.api.serializers import StrictSerializer
from config.api.values import format_money
from incidents.enums import (
    CauseType,
    EventType,
    Outcome,
    ResolutionMethod,
    ResolutionType,
    Severity,
    SourceType,
    Status,
)
from incidents.models import Alert, Event, Incident
from incidents.services import reads, signatures

SEVERITIES = [severity.label for severity in Severity]


def names_of(serializer: serializers.Serializer) -> list[str]:
    """The names of a serializer's fields, in their order."""
    return list(cast(dict[str, Any], serializer.fields))


class IncidentSummary(serializers.Serializer):
    """An incident in lists and answers. ``group_key`` is null when its alerts named no group."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    severity = serializers.ChoiceField(SEVERITIES)
    category = serializers.CharField(allow_null=True)
    trigger_type = serializers.CharField()
    trigger_value = serializers.CharField(allow_null=True)
    group_key = serializers.CharField(allow_null=True)
    cause_type = serializers.ChoiceField(CauseType.choices)
    source_type = serializers.ChoiceField(SourceType.choices)
    calls_affected = serializers.IntegerField(help_text="Distinct calls.")
    alerts_count = serializers.IntegerField(help_text="All alerts.")
    cost_delta_cents = Money()
    assignee = serializers.CharField(allow_null=True)
    started_at = Timestamp()
    last_seen_at = Timestamp()
    created_at = Timestamp()
    acknowledged_at = Timestamp(allow_null=True)
    resolved_at = Timestamp(allow_null=True)
    resolution_method = serializers.ChoiceField(ResolutionMethod.choices, allow_null=True)
    is_synthetic = serializers.BooleanField()

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        # By hand: every single report ends here. Lists have `summary_of`.
        return {
            "id": instance.pk,
            "title": instance.title,
            "status": str(instance.status),
            "severity": Severity(instance.severity).label,
            "category": instance.category,
            "trigger_type": instance.trigger_type,
            "trigger_value": instance.trigger_value,
            "group_key": instance.group_key or None,
            "cause_type": str(instance.cause_type),
            "source_type": str(instance.source_type),
            "calls_affected": instance.calls_affected,
            "alerts_count": instance.alerts_count,
            "cost_delta_cents": format_money(instance.cost_delta_cents),
            "assignee": instance.assignee,
            "started_at": instance.started_at,
            "last_seen_at": instance.last_seen_at,
            "created_at": instance.created_at,
            "acknowledged_at": instance.acknowledged_at,
            "resolved_at": instance.resolved_at,
            "resolution_method": instance.resolution_method,
            "is_synthetic": instance.is_synthetic,
        }


def summary_of(row: reads.Row) -> dict[str, Any]:
    """A row of ``reads.page`` as callers see it; the row itself becomes that."""
    row["severity"] = _SEVERITY_OF[row["severity"]]
    return row


_SEVERITY_OF: Final = {int(severity): severity.label for severity in Severity}


class IncidentDetail(IncidentSummary):
    """Everything about an incident but its lists. Its first alert gave run, agent and error."""

    description = serializers.CharField(allow_blank=True)
    window_start = Timestamp()
    run_id = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    auto_action = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(allow_null=True)
    signature = serializers.CharField(
        allow_null=True, help_text="What recurrences of the same failure share."
    )
    signature_explained = serializers.CharField(allow_null=True)
    synthetic_scenario_id = serializers.CharField(allow_null=True)
    quiet_since = Timestamp(help_text="When the last alert was recorded, or it was reopened.")
    acknowledged_by = serializers.CharField(allow_null=True)
    resolved_by = serializers.CharField(allow_null=True)
    resolution_type = serializers.ChoiceField(ResolutionType.choices, allow_null=True)
    resolution_summary = serializers.CharField(allow_null=True)
    postmortem_id = serializers.CharField(allow_null=True)

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        answer = super().to_representation(instance)
        answer["signature_explained"] = signatures.explain_incident(instance)
        return answer | {n: getattr(instance, n) for n in names_of(self) if n not in answer}


class AlertRow(serializers.Serializer):
    """An alert as it was recorded."""

    id = serializers.UUIDField()
    outcome = serializers.ChoiceField([outcome.label for outcome in Outcome])
    trigger_type = serializers.CharField()
    trigger_value = serializers.CharField(allow_null=True)
    group_key = serializers.CharField(allow_null=True)
    call_id = serializers.CharField(allow_null=True)
    occurred_at = Timestamp()
    created_at = Timestamp()
    cost_delta_cents = Money(allow_null=True)
    run_id = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)
    error_message = serializers.CharField(allow_null=True)
    category = serializers.CharField(allow_null=True)
    auto_action = serializers.CharField(allow_null=True)
    metadata = serializers.DictField(allow_null=True)
    is_synthetic = serializers.BooleanField()
    synthetic_scenario_id = serializers.CharField(allow_null=True)

    def to_representation(self, instance: Alert) -> dict[str, Any]:
        answer = {name: getattr(instance, name) for name in names_of(self)}
        answer["outcome"] = Outcome(instance.outcome).label
        answer["group_key"] = instance.group_key or None
        if instance.cost_delta_cents is not None:
            answer["cost_delta_cents"] = format_money(instance.cost_delta_cents)
        return answer


class EventRow(serializers.Serializer):
    """An entry on the timeline: ``actor`` the person, ``via`` what they acted through."""

    id = serializers.UUIDField()
    event_type = serializers.ChoiceField(EventType.choices)
    description = serializers.CharField()
    actor = serializers.CharField(allow_null=True)
    via = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    created_at = Timestamp()

    def to_representation(self, instance: Event) -> dict[str, Any]:
        return {name: getattr(instance, name) for name in names_of(self)}


class AlertBody(StrictSerializer):
    """One alert. It says what is read here for the documentation; reports.Alert reads it."""

    example: ClassVar[dict[str, Any]] = {
        "trigger_type": "failure_spike",
        "call_id": "call-8f3a",
        "run_id": "nightly-42",
        "error_code": "EXECUTION_TIMEOUT",
        "error_message": "No answer within 60 s",
        "cost_delta_cents": "12.5",
    }

    trigger_type = Slug50()
    trigger_value = StrictChar(max_length=2000, min_length=0, required=False, allow_null=True)
    group_key = StrictChar(max_length=200, required=False, allow_null=True)
    call_id = Identifier(required=False, allow_null=True)
    occurred_at = Timestamp(
        required=False, allow_null=True, help_text="Default now; at most 5 minutes ahead."
    )
    cost_delta_cents = Money(required=False, allow_null=True)
    run_id = RunIdentifier(required=False, allow_null=True)
    agent_id = Identifier(required=False, allow_null=True)
    model = StrictChar(max_length=200, required=False, allow_null=True)
    error_code = StrictChar(max_length=200, required=False, allow_null=True)
    error_message = StrictChar(max_length=2000, min_length=0, required=False, allow_null=True)
    category = Slug50(required=False, allow_null=True)
    auto_action = StrictChar(max_length=200, required=False, allow_null=True)
    metadata = JsonObject(required=False, allow_null=True)
    is_synthetic = StrictBoolean(required=False, allow_null=True)
    synthetic_scenario_id = StrictChar(max_length=128, required=False, allow_null=True)


class AlertBatch(StrictSerializer):
    """1 to 1,000 alerts; as NDJSON 1 to 10,000 lines."""

    example: ClassVar[dict[str, Any]] = {"alerts": [AlertBody.example]}

    alerts = AlertBody(many=True)


class AlertAnswer(serializers.Serializer):
    """What became of one alert; ``incident`` is null when a rule prevented it."""

    outcome = serializers.ChoiceField([outcome.label for outcome in Outcome])
    incident = IncidentSummary(allow_null=True)


class BatchError(serializers.Serializer):
    """One thing wrong with the alert at ``index``, counted from 0."""

    index = serializers.IntegerField()
    pointer = serializers.CharField()
    detail = serializers.CharField()


class BatchAnswer(serializers.Serializer):
    """What became of a batch; the six outcomes sum to ``received``."""

    received = serializers.IntegerField()
    opened = serializers.IntegerField()
    aggregated = serializers.IntegerField()
    overflowed = serializers.IntegerField()
    prevented = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()
    incidents = serializers.ListField(child=serializers.UUIDField())
    errors = BatchError(many=True)  # type: ignore[assignment]


class _ByPerson(StrictSerializer):
    actor = StrictChar(
        max_length=100, required=False, allow_null=True, help_text="The person who acts."
    )


class AcknowledgeBody(_ByPerson):
    """Nothing but who."""

    example: ClassVar[dict[str, Any]] = {"actor": "ada"}


class ResolveBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {
        "resolution_method": "rollback",
        "resolution_type": "real",
        "resolution_summary": "The batch has a quota of its own.",
        "actor": "ada",
    }

    resolution_method = StrictChoice(ResolutionMethod.choices)
    resolution_type = StrictChoice(ResolutionType.choices, required=False, allow_null=True)
    resolution_summary = StrictChar(
        max_length=10_000, min_length=0, required=False, allow_null=True
    )
    postmortem_id = Identifier(required=False, allow_null=True)


class ReopenBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"reason": "It happens again.", "actor": "ada"}

    reason = StrictChar(max_length=2000)


class AssignBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"assignee": "grace", "actor": "ada"}

    assignee = StrictChar(max_length=100, allow_null=True)


class SeverityBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {
        "severity": "critical",
        "reason": "Customers notice.",
        "actor": "ada",
    }

    severity = StrictChoice(SEVERITIES)
    reason = StrictChar(max_length=2000)


class CommentBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"description": "The provider confirms it.", "actor": "ada"}

    description = StrictChar(max_length=2000)


class OpenBody(_ByPerson):
    """Opens an incident by hand."""

    example: ClassVar[dict[str, Any]] = {
        "title": "Answers are empty",
        "severity": "high",
        "category": "execution_failure",
    }

    title = StrictChar(max_length=2000)
    severity = StrictChoice(SEVERITIES)
    category = Slug50(required=False, allow_null=True)
    description = StrictChar(max_length=2000, min_length=0, required=False, allow_null=True)
    run_id = RunIdentifier(required=False, allow_null=True)


class BulkBody(StrictSerializer):
    """One action on up to 500 incidents; the action's own fields stand beside ``ids``."""

    example: ClassVar[dict[str, Any]] = {
        "action": "acknowledge",
        "ids": ["0190a5f0-0000-7000-8000-000000000001"],
        "actor": "ada",
    }

    action = StrictChoice(["acknowledge", "resolve", "assign", "severity"])
    ids = StrictList(child=Uuid(), min_length=1, max_length=500)
    actor = StrictChar(max_length=100, required=False, allow_null=True)
    resolution_method = StrictChoice(ResolutionMethod.choices, required=False)
    resolution_type = StrictChoice(ResolutionType.choices, required=False, allow_null=True)
    resolution_summary = StrictChar(
        max_length=10_000, min_length=0, required=False, allow_null=True
    )
    postmortem_id = Identifier(required=False, allow_null=True)
    assignee = StrictChar(max_length=100, required=False, allow_null=True)
    severity = StrictChoice(SEVERITIES, required=False)
    reason = StrictChar(max_length=2000, required=False)


class BulkResult(serializers.Serializer):
    """What became of one: an HTTP status, and ``ok`` or the code of the refusal."""

    id = serializers.UUIDField()
    status = serializers.IntegerField()
    code = serializers.CharField()


class BulkAnswer(serializers.Serializer):
    results = BulkResult(many=True)


class CountAnswer(serializers.Serializer):
    count = serializers.IntegerField()
