"""Rules, their revisions and what they prevented, as callers send and see them."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from config.api.fields import (
    Identifier,
    Money,
    Slug50,
    StrictBoolean,
    StrictChar,
    StrictChoice,
    Timestamp,
)
from config.api.serializers import StrictSerializer
from incidents.enums import RuleMode
from incidents.models import Prevention


class _RuleFields(serializers.Serializer):
    name = serializers.CharField()
    policy_type = serializers.CharField(allow_null=True)
    mode = serializers.ChoiceField(RuleMode.choices)
    is_active = serializers.BooleanField()
    trigger_type = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)
    category = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)


class RuleRow(_RuleFields):
    """A rule as it is. The sources are what it came from, where that is known."""

    id = serializers.UUIDField()
    revision = serializers.IntegerField()
    source_proposal_id = serializers.UUIDField(allow_null=True)
    source_lesson_id = serializers.UUIDField(allow_null=True)
    source_incident_id = serializers.UUIDField(allow_null=True)
    created_at = Timestamp()
    updated_at = Timestamp()


class RevisionRow(_RuleFields):
    """A rule as it was from ``created_at`` on, and who made it so."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    actor = serializers.CharField(allow_null=True)
    via = serializers.CharField()
    created_at = Timestamp()


class RuleBody(StrictSerializer):
    """A new rule; at least one of the last four is required."""

    example: ClassVar[dict[str, Any]] = {
        "name": "Timeouts of the planner",
        "mode": "shadow",
        "error_code": "EXECUTION_TIMEOUT",
        "agent_id": "planner",
    }

    name = StrictChar(max_length=200)
    policy_type = Identifier(required=False, allow_null=True)
    mode = StrictChoice(RuleMode.choices)
    is_active = StrictBoolean(required=False, default=True)
    trigger_type = Slug50(required=False, allow_null=True)
    error_code = StrictChar(max_length=200, required=False, allow_null=True)
    category = Slug50(required=False, allow_null=True)
    agent_id = Identifier(required=False, allow_null=True)
    actor = StrictChar(max_length=100, required=False, allow_null=True)


class RuleChange(StrictSerializer):
    """What should change of a rule; null takes a condition away."""

    example: ClassVar[dict[str, Any]] = {"mode": "active", "actor": "ada"}

    name = StrictChar(max_length=200, required=False)
    policy_type = Identifier(required=False, allow_null=True)
    mode = StrictChoice(RuleMode.choices, required=False)
    is_active = StrictBoolean(required=False)
    trigger_type = Slug50(required=False, allow_null=True)
    error_code = StrictChar(max_length=200, required=False, allow_null=True)
    category = Slug50(required=False, allow_null=True)
    agent_id = Identifier(required=False, allow_null=True)
    actor = StrictChar(max_length=100, required=False, allow_null=True)


class EnabledAnswer(serializers.Serializer):
    enabled = serializers.BooleanField()


class PreventionRow(serializers.Serializer):
    """A report that a rule kept out; in shadow mode, would have kept out of ``incident_id``."""

    id = serializers.UUIDField()
    rule_id = serializers.UUIDField()
    revision = serializers.IntegerField(help_text="Which revision of the rule it met.")
    mode = serializers.ChoiceField(RuleMode.choices)
    incident_id = serializers.UUIDField(allow_null=True)
    trigger_type = serializers.CharField()
    group_key = serializers.CharField(allow_null=True)
    call_id = serializers.CharField(allow_null=True)
    run_id = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)
    error_code = serializers.CharField(allow_null=True)
    category = serializers.CharField(allow_null=True)
    cost_delta_cents = Money(allow_null=True)
    occurred_at = Timestamp()
    created_at = Timestamp()

    def to_representation(self, instance: Prevention) -> dict[str, Any]:
        answer = super().to_representation(instance)
        answer["group_key"] = instance.group_key or None
        return answer
