"""Insights, as callers see them, and the parameters that they take."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from config.api import parameters
from config.api.fields import Money, Timestamp
from incidents.enums import InsightKind, PatternType, ResolutionMethod, Similarity, Status
from incidents.serializers.incidents import SEVERITIES, IncidentSummary
from incidents.services.trends import Granularity


class SinceParameters(parameters.Parameters):
    """From when on to count; by default the tenant's statistics hours (24) ago."""

    since = parameters.Timestamp(required=False)


class MetricsParameters(parameters.Parameters):
    window_days = parameters.Integer(min_value=1, max_value=90, default=30)


class DistributionParameters(parameters.Parameters):
    window_days = parameters.Integer(min_value=7, max_value=365, default=90)


class TrendParameters(DistributionParameters):
    granularity = parameters.Choice(
        [granularity.value for granularity in Granularity], default=Granularity.WEEK.value
    )
    tz = parameters.TimeZone(
        required=False, help_text="An IANA time zone, whose calendar the periods go by; UTC."
    )


class PatternsParameters(parameters.Parameters):
    window_hours = parameters.Integer(min_value=1, max_value=168, default=24)
    limit = parameters.Integer(min_value=1, max_value=50, default=10, help_text="Of each kind.")


class CategoryRecurrenceParameters(parameters.Parameters):
    baseline_days = parameters.Integer(min_value=1, max_value=90, default=30)
    threshold = parameters.Integer(min_value=2, max_value=100, default=3)


class RecurrenceParameters(CategoryRecurrenceParameters):
    limit = parameters.Integer(min_value=1, max_value=50, default=20)


class CostImpactParameters(parameters.Parameters):
    baseline_days = parameters.Integer(min_value=1, max_value=90, default=30)
    limit = parameters.Integer(min_value=1, max_value=50, default=20)


class LearningsParameters(parameters.Parameters):
    baseline_days = parameters.Integer(min_value=1, max_value=90, default=30)


class AggregationFacts(serializers.Serializer):
    """The facts by which the tenant's alerts are folded into incidents."""

    window_seconds = serializers.IntegerField()
    incidents_per_hour = serializers.IntegerField()
    cooldown_seconds = serializers.IntegerField()
    stale_after_seconds = serializers.IntegerField()
    statistics_hours = serializers.IntegerField()


class StatisticsAnswer(serializers.Serializer):
    """Counts of the incidents that started at or after `since`."""

    since = Timestamp()
    total = serializers.IntegerField()
    open = serializers.IntegerField()
    acknowledged = serializers.IntegerField()
    resolved = serializers.IntegerField()
    low = serializers.IntegerField()
    medium = serializers.IntegerField()
    high = serializers.IntegerField()
    critical = serializers.IntegerField()
    calls_affected = serializers.IntegerField(help_text="The sum of each one's distinct calls.")
    config = AggregationFacts()


class AccountingAnswer(serializers.Serializer):
    """Every report received since the hour `counted_from`; the six outcomes sum to `received`."""

    since = Timestamp()
    counted_from = Timestamp()
    received = serializers.IntegerField()
    opened = serializers.IntegerField()
    aggregated = serializers.IntegerField()
    overflowed = serializers.IntegerField()
    prevented = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()


class Counts(serializers.Serializer):
    """Numbers by name."""

    def to_representation(self, instance: dict[str, int]) -> dict[str, int]:
        return instance


class SeverityCounts(Counts):
    low = serializers.IntegerField()
    medium = serializers.IntegerField()
    high = serializers.IntegerField()
    critical = serializers.IntegerField()


class StatusCounts(Counts):
    open = serializers.IntegerField()
    acknowledged = serializers.IntegerField()
    resolved = serializers.IntegerField()


class CauseCounts(Counts):
    llm_run = serializers.IntegerField()
    system = serializers.IntegerField()
    human = serializers.IntegerField()


class MethodCounts(Counts):
    auto = serializers.IntegerField()
    manual = serializers.IntegerField()
    rollback = serializers.IntegerField()


class TimesAnswer(serializers.Serializer):
    """Milliseconds from `created_at`, exact to the microsecond; null where it never happened."""

    count = serializers.IntegerField()
    mean = serializers.FloatField(allow_null=True)
    median = serializers.FloatField(allow_null=True)


class ServiceLevelAnswer(serializers.Serializer):
    """Null without a target, or without an incident that it could be told of.

    What is not done yet is breached once the target has passed, pending until then.
    """

    target_seconds = serializers.IntegerField(allow_null=True)
    met = serializers.IntegerField(allow_null=True)
    breached = serializers.IntegerField(allow_null=True)
    pending = serializers.IntegerField(allow_null=True)


class ServiceLevelsAnswer(serializers.Serializer):
    severity = serializers.ChoiceField(SEVERITIES)
    acknowledge = ServiceLevelAnswer()
    resolve = ServiceLevelAnswer()


class OldestAnswer(serializers.Serializer):
    """The unresolved incident that started first, also when that was before the window."""

    started_at = Timestamp()
    age_ms = serializers.FloatField()


class MetricsAnswer(serializers.Serializer):
    """Readings of the incidents that started in the window."""

    window_days = serializers.IntegerField()
    since = Timestamp()
    total = serializers.IntegerField()
    by_status = StatusCounts()
    by_severity = SeverityCounts()
    time_to_acknowledge_ms = TimesAnswer()
    time_to_resolve_ms = TimesAnswer()
    service_levels = ServiceLevelsAnswer(many=True)
    oldest_unresolved = OldestAnswer(allow_null=True)


class DistributionAnswer(serializers.Serializer):
    """How the incidents of the window are spread; categories by number, the largest first."""

    window_days = serializers.IntegerField()
    since = Timestamp()
    total = serializers.IntegerField()
    by_severity = SeverityCounts()
    by_status = StatusCounts()
    by_category = serializers.DictField(child=serializers.IntegerField())
    by_cause_type = CauseCounts()
    by_resolution_method = MethodCounts()


class PeriodAnswer(serializers.Serializer):
    """A day, a week from Monday or a month in the time zone's calendar."""

    period = serializers.DateField(source="period.first_day", help_text="Its first day.")
    start = Timestamp(source="period.start")
    end = Timestamp(source="period.end")
    incidents = serializers.IntegerField()


class TrendPeriodAnswer(PeriodAnswer):
    low = serializers.IntegerField()
    medium = serializers.IntegerField()
    high = serializers.IntegerField()
    critical = serializers.IntegerField()
    resolved = serializers.IntegerField()
    mean_time_to_acknowledge_ms = serializers.FloatField(allow_null=True)
    mean_time_to_resolve_ms = serializers.FloatField(allow_null=True)


class WindowByPeriod(serializers.Serializer):
    window_days = serializers.IntegerField()
    granularity = serializers.ChoiceField([granularity.value for granularity in Granularity])
    tz = serializers.CharField()
    since = Timestamp(help_text="Where the window begins; it may cut the first period.")


class TrendAnswer(WindowByPeriod):
    """Every period of the window, the earliest first, those without incidents too."""

    periods = TrendPeriodAnswer(many=True)


class CostPeriodAnswer(PeriodAnswer):
    calls_affected = serializers.IntegerField()
    cost_delta_cents = Money(allow_null=True)
    mean_cost_delta_cents = Money(allow_null=True)


class CostTrendAnswer(WindowByPeriod):
    """Every period of the window, the earliest first, those without incidents too."""

    periods = CostPeriodAnswer(many=True)


class CategoryCostAnswer(serializers.Serializer):
    category = serializers.CharField()
    incidents = serializers.IntegerField()
    calls_affected = serializers.IntegerField()
    cost_delta_cents = Money()
    mean_cost_delta_cents = Money(help_text="Per incident.")


class CostImpactAnswer(serializers.Serializer):
    """The dearest categories; the totals are of all categories, listed or not."""

    baseline_days = serializers.IntegerField()
    limit = serializers.IntegerField()
    since = Timestamp()
    incidents = serializers.IntegerField()
    cost_delta_cents = Money(allow_null=True)
    categories = CategoryCostAnswer(many=True)


class PatternAnswer(serializers.Serializer):
    """Incidents that belong together by category, severity or run: the `dimension`."""

    pattern_type = serializers.ChoiceField(PatternType.choices)
    dimension = serializers.CharField()
    count = serializers.IntegerField()
    incident_ids = serializers.ListField(child=serializers.UUIDField(), help_text="The latest 10.")
    confidence = serializers.FloatField()


class PatternsAnswer(serializers.Serializer):
    """Kind by kind, the largest first; a severity spike always goes by the last hour."""

    window_hours = serializers.IntegerField()
    limit = serializers.IntegerField()
    since = Timestamp()
    incidents = serializers.IntegerField()
    patterns = PatternAnswer(many=True)


class RecurrenceAnswer(serializers.Serializer):
    """Incidents of a category and a resolution method, null for what is not resolved."""

    category = serializers.CharField()
    resolution_method = serializers.ChoiceField(ResolutionMethod.choices, allow_null=True)
    occurrences = serializers.IntegerField()
    distinct_days = serializers.IntegerField(help_text="Days of UTC with any.")
    occurrences_per_day = serializers.FloatField(help_text="Per day with any.")
    first_at = Timestamp()
    last_at = Timestamp()
    incident_ids = serializers.ListField(child=serializers.UUIDField(), help_text="The latest 5.")


class RecurrencesAnswer(serializers.Serializer):
    """The groups that came at least `threshold` times, the most frequent first."""

    baseline_days = serializers.IntegerField()
    threshold = serializers.IntegerField()
    limit = serializers.IntegerField()
    since = Timestamp()
    groups = RecurrenceAnswer(many=True)


class CategoryRecurrenceAnswer(serializers.Serializer):
    """One category, as a whole and by resolution method."""

    category = serializers.CharField()
    baseline_days = serializers.IntegerField()
    threshold = serializers.IntegerField()
    since = Timestamp()
    is_recurring = serializers.BooleanField(help_text="Whether it came `threshold` times.")
    occurrences = serializers.IntegerField()
    distinct_days = serializers.IntegerField()
    occurrences_per_day = serializers.FloatField(allow_null=True)
    first_at = Timestamp(allow_null=True)
    last_at = Timestamp(allow_null=True)
    groups = RecurrenceAnswer(many=True)


class InsightAnswer(serializers.Serializer):
    kind = serializers.ChoiceField(InsightKind.choices)
    statement = serializers.CharField()
    confidence = serializers.FloatField()
    incident_ids = serializers.ListField(child=serializers.UUIDField())


class MethodUseAnswer(serializers.Serializer):
    resolution_method = serializers.ChoiceField(ResolutionMethod.choices)
    count = serializers.IntegerField()


class CategoryLearningsAnswer(serializers.Serializer):
    """What the incidents of a category since the baseline teach."""

    category = serializers.CharField()
    baseline_days = serializers.IntegerField()
    since = Timestamp()
    occurrences = serializers.IntegerField()
    resolved = serializers.IntegerField()
    resolution_rate = serializers.FloatField(allow_null=True, help_text="From 0 to 1.")
    mean_time_to_resolve_ms = serializers.FloatField(allow_null=True)
    distinct_days = serializers.IntegerField()
    occurrences_per_day = serializers.FloatField(allow_null=True)
    resolution_methods = MethodUseAnswer(many=True)
    insights = InsightAnswer(many=True)


class ResolutionAnswer(serializers.Serializer):
    status = serializers.ChoiceField(Status.choices)
    resolution_method = serializers.ChoiceField(ResolutionMethod.choices, allow_null=True)
    resolution_type = serializers.CharField(allow_null=True)
    resolution_summary = serializers.CharField(allow_null=True)
    resolved_by = serializers.CharField(allow_null=True)
    resolved_at = Timestamp(allow_null=True)
    time_to_acknowledge_ms = serializers.FloatField(allow_null=True)
    time_to_resolve_ms = serializers.FloatField(allow_null=True)
    evidence_count = serializers.IntegerField()
    recovery_attempts = serializers.IntegerField()


class SimilarAnswer(serializers.Serializer):
    incident_id = serializers.UUIDField()
    title = serializers.CharField()
    similarity = serializers.ChoiceField(Similarity.choices)
    resolution_method = serializers.ChoiceField(ResolutionMethod.choices)
    resolution_summary = serializers.CharField(allow_null=True)
    time_to_resolve_ms = serializers.FloatField()
    recovery_attempts = serializers.IntegerField()


class LearningsAnswer(serializers.Serializer):
    """How an incident ended, at most five resolved ones like it, and what they teach."""

    incident_id = serializers.UUIDField()
    similar_days = serializers.IntegerField()
    resolution = ResolutionAnswer()
    similar = SimilarAnswer(many=True)
    insights = InsightAnswer(many=True)
    category = CategoryLearningsAnswer()


class SimilarIncident(IncidentSummary):
    """A resolved incident, and the first thing that it shares with the one asked about."""

    similarity = serializers.ChoiceField(Similarity.choices)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        similarity = Similarity.ranked(instance.likeness // 10)
        return {**super().to_representation(instance), "similarity": similarity.value}
