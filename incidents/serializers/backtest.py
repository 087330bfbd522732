"""What a rule would have prevented, and what it did, as callers ask for it and see it."""

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
    StrictInteger,
    Timestamp,
)
from config.api.serializers import StrictSerializer
from incidents.enums import ResolutionType, RuleMode, Severity, Status
from incidents.models import Incident
from incidents.serializers.incidents import SEVERITIES, names_of
from incidents.serializers.insights import SeverityCounts
from incidents.services import backtest


class DaysBody(StrictSerializer):
    example: ClassVar[dict[str, Any]] = {"days": 30}

    days = StrictInteger(
        min_value=1, max_value=backtest.MAX_DAYS, required=False, default=backtest.DEFAULT_DAYS
    )


class BacktestBody(DaysBody):
    """A rule's fields; at least one of those that match is needed, the others change nothing."""

    example: ClassVar[dict[str, Any]] = {"error_code": "EXECUTION_TIMEOUT", "days": 30}

    trigger_type = Slug50(required=False, allow_null=True)
    error_code = StrictChar(max_length=200, required=False, allow_null=True)
    category = Slug50(required=False, allow_null=True)
    agent_id = Identifier(required=False, allow_null=True)
    name = StrictChar(max_length=200, required=False, allow_null=True)
    policy_type = Identifier(required=False, allow_null=True)
    mode = StrictChoice(RuleMode.choices, required=False)
    is_active = StrictBoolean(required=False)


class PreventedIncident(serializers.Serializer):
    """An incident that would not have been."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    severity = serializers.ChoiceField(SEVERITIES)
    alerts_count = serializers.IntegerField()
    calls_affected = serializers.IntegerField()
    cost_delta_cents = Money()
    started_at = Timestamp()
    resolution_type = serializers.ChoiceField(ResolutionType.choices, allow_null=True)

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        answer = {name: getattr(instance, name) for name in names_of(self)}
        return answer | {
            "severity": Severity(instance.severity).label,
            "cost_delta_cents": Money().to_representation(instance.cost_delta_cents),
        }


class BacktestAnswer(serializers.Serializer):
    """What an active rule would have kept out of the incidents since then.

    An incident is prevented when every alert of it would have been.
    """

    days = serializers.IntegerField()
    since = Timestamp()
    alerts_prevented = serializers.IntegerField()
    incidents_prevented = serializers.IntegerField()
    by_severity = SeverityCounts(help_text="Of the incidents.")
    resolved_as_real = serializers.IntegerField(
        help_text="Of the incidents, those that people had resolved as real."
    )
    largest = PreventedIncident(many=True, help_text="Ten at most, by alerts.")


class EffectivenessPeriod(serializers.Serializer):
    since = Timestamp()
    until = Timestamp()
    recurrences = serializers.IntegerField()
    cost_delta_cents = Money()


class EffectivenessAnswer(serializers.Serializer):
    """`before` and `after` are as long as each other; null where there is not enough data."""

    rule_id = serializers.UUIDField()
    preventions = serializers.IntegerField()
    prevented_cost_cents = Money(allow_null=True)
    shadow_matches = serializers.IntegerField()
    activated_at = Timestamp(allow_null=True)
    deactivated_at = Timestamp(allow_null=True)
    source_incident_id = serializers.UUIDField(allow_null=True)
    signature = serializers.CharField(allow_null=True)
    before = EffectivenessPeriod(allow_null=True)
    after = EffectivenessPeriod(allow_null=True)
    explanation = serializers.CharField(help_text="What is counted.")
