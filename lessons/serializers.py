"""Lessons and proposals, as callers send and see them."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from rest_framework import serializers

from config.api.fields import (
    JsonObject,
    Number,
    RunIdentifier,
    StrictChar,
    StrictChoice,
    Timestamp,
    Uuid,
)
from config.api.serializers import StrictSerializer
from incidents.enums import RuleMode, Severity
from lessons.enums import (
    LessonEventType,
    LessonStatus,
    LessonType,
    NotRecorded,
    ProposalEventType,
    ProposalKind,
    ProposalStatus,
)
from lessons.models import Lesson, LessonEvent, Proposal, ProposalEvent
from lessons.services import reporting

SEVERITIES = [severity.label for severity in Severity]


class _Row(serializers.Serializer):
    """A row's fields by their names, as they are."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {name: getattr(instance, name) for name in cast(dict[str, Any], self.fields)}


class _HistoryRow(_Row):
    description = serializers.CharField()
    actor = serializers.CharField(allow_null=True, help_text="The person, as they were named.")
    via = serializers.CharField(help_text="What they acted through.")
    data = serializers.DictField()  # type: ignore[assignment]
    created_at = Timestamp()


class LessonHistoryRow(_HistoryRow):
    event_type = serializers.ChoiceField(LessonEventType.choices)


class ProposalHistoryRow(_HistoryRow):
    event_type = serializers.ChoiceField(ProposalEventType.choices)


class LessonRow(_Row):
    """A lesson. `proposal_id` is the proposal that it was converted to."""

    id = serializers.UUIDField()
    lesson_type = serializers.ChoiceField(LessonType.choices)
    status = serializers.ChoiceField(LessonStatus.choices)
    title = serializers.CharField()
    description = serializers.CharField()
    severity = serializers.ChoiceField(SEVERITIES, allow_null=True)
    incident_id = serializers.UUIDField(allow_null=True)
    run_id = serializers.CharField(allow_null=True)
    proposed_action = serializers.CharField(allow_null=True)
    detected_pattern = serializers.DictField(allow_null=True)
    is_synthetic = serializers.BooleanField()
    synthetic_scenario_id = serializers.CharField(allow_null=True)
    deferred_until = Timestamp(allow_null=True)
    dismissed_reason = serializers.CharField(allow_null=True)
    proposal_id = serializers.UUIDField(allow_null=True)
    created_at = Timestamp()

    def to_representation(self, instance: Lesson) -> dict[str, Any]:
        severity = instance.severity
        row = {name: getattr(instance, name) for name in _LESSON_ROW}
        row["severity"] = None if severity is None else Severity(severity).label
        return row


_LESSON_ROW = tuple(LessonRow().fields)


class LessonDetail(LessonRow):
    """A lesson and its history. `repeats` counts the near-threshold reports that it also stands
    for.
    """

    repeats = serializers.IntegerField(allow_null=True)
    history = LessonHistoryRow(many=True)

    def to_representation(self, instance: Lesson) -> dict[str, Any]:
        events = LessonEvent.objects.for_tenant(instance.tenant_id).filter(lesson=instance)
        return {
            **super().to_representation(instance),
            "repeats": reporting.repeats_of(lesson=instance),
            "history": LessonHistoryRow(events, many=True).data,
        }


class ProposalRow(_Row):
    """A draft rule. A report would have to equal every one of the four fields that are given."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(ProposalStatus.choices)
    kind = serializers.ChoiceField(ProposalKind.choices)
    name = serializers.CharField()
    rationale = serializers.CharField()
    trigger_type = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)
    category = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)
    incident_id = serializers.UUIDField(allow_null=True)
    lesson_id = serializers.UUIDField(allow_null=True)
    rule_id = serializers.UUIDField(allow_null=True)
    is_synthetic = serializers.BooleanField()
    created_at = Timestamp()
    decided_at = Timestamp(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    rejected_reason = serializers.CharField(allow_null=True)


class ProposalDetail(ProposalRow):
    """A proposal and its history."""

    history = ProposalHistoryRow(many=True)

    def to_representation(self, instance: Proposal) -> dict[str, Any]:
        events = ProposalEvent.objects.for_tenant(instance.tenant_id).filter(proposal=instance)
        return {
            **{name: getattr(instance, name) for name in _PROPOSAL_ROW},
            "history": ProposalHistoryRow(events, many=True).data,
        }


_PROPOSAL_ROW = tuple(ProposalRow().fields)


class ReportedAnswer(LessonDetail):
    """The new lesson; `created` is true."""

    created = serializers.BooleanField()

    def to_representation(self, instance: Lesson) -> dict[str, Any]:
        return {**super().to_representation(instance), "created": True}


class NotCreatedAnswer(serializers.Serializer):
    """There is no new lesson, and why."""

    created = serializers.BooleanField()
    reason = serializers.ChoiceField(NotRecorded.choices)


class LessonStatisticsAnswer(serializers.Serializer):
    """Numbers of lessons."""

    total = serializers.IntegerField()
    by_type = serializers.DictField(child=serializers.IntegerField())
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_type_and_status = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField())
    )


class _ByPerson(StrictSerializer):
    actor = StrictChar(
        max_length=100, required=False, allow_null=True, help_text="The person who acts."
    )


class LessonBody(_ByPerson):
    """A lesson in the caller's own words."""

    example: ClassVar[dict[str, Any]] = {
        "lesson_type": "failure",
        "title": "Batches need a quota",
        "description": "They shared one.",
        "run_id": "nightly-42",
    }

    lesson_type = StrictChoice(LessonType.choices)
    title = StrictChar(max_length=2000)
    description = StrictChar(max_length=2000)
    severity = StrictChoice(SEVERITIES, required=False, allow_null=True)
    incident_id = Uuid(required=False, allow_null=True)
    run_id = RunIdentifier(required=False, allow_null=True)
    proposed_action = StrictChar(max_length=2000, required=False, allow_null=True)
    detected_pattern = JsonObject(required=False, allow_null=True)


class NearThresholdBody(StrictSerializer):
    """How near a run came: from 85 % of a threshold that is above 0."""

    example: ClassVar[dict[str, Any]] = {
        "run_id": "nightly-42",
        "metric": "tokens",
        "current_value": 92,
        "threshold_value": 100,
    }

    run_id = RunIdentifier()
    metric = StrictChar(max_length=200)
    current_value = Number()
    threshold_value = Number()


class CriticalSuccessBody(StrictSerializer):
    """A run that went remarkably well."""

    example: ClassVar[dict[str, Any]] = {
        "run_id": "nightly-42",
        "success_type": "cost",
        "metrics": {"cents_saved": 120},
    }

    run_id = RunIdentifier()
    success_type = StrictChar(max_length=200)
    metrics = JsonObject()


class DeferBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"until": "2099-01-01T00:00:00Z", "actor": "ada"}

    until = Timestamp()


class DismissBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"reason": "It was a drill.", "actor": "ada"}

    reason = StrictChar(max_length=2000)


class ActorBody(_ByPerson):
    """Nothing but who."""

    example: ClassVar[dict[str, Any]] = {"actor": "ada"}


class ApproveBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"mode": "shadow", "actor": "ada"}

    mode = StrictChoice(RuleMode.choices, required=False, default=RuleMode.SHADOW)


class RejectBody(_ByPerson):
    example: ClassVar[dict[str, Any]] = {"reason": "Too broad.", "actor": "ada"}

    reason = StrictChar(max_length=2000)
