"""Which incidents a list, a count or a screen is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import django_filters
from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from rest_framework import serializers

from config import clock
from config.api import parameters
from incidents.enums import CauseType, Severity, Status
from incidents.models import Incident, IncidentAgent, IncidentRun
from incidents.services import search

Incidents = QuerySet[Incident]

DEFAULT_RETENTION_DAYS = 30
TOPICS = ("active", "resolved", "historical")
ORDERINGS = (
    "created_at",
    "resolved_at",
    "last_seen_at",
    "severity",
    "calls_affected",
    "cost_delta_cents",
)


class SimpleListField(forms.Field):
    """Every value that a query gives for one name, as it is."""

    widget = forms.MultipleHiddenInput


class IncidentFilterParameters(parameters.Parameters):
    """What lists and counts of incidents can be narrowed by."""

    topic = parameters.Choice(
        TOPICS,
        required=False,
        help_text=(
            "active: unresolved; resolved; historical: resolved more than `retention_days` ago."
        ),
    )
    retention_days = parameters.Integer(
        min_value=7, max_value=365, required=False, help_text="Only with topic historical; 30."
    )
    status = parameters.Repeated(parameters.Choice(Status.choices), required=False)
    severity = parameters.Repeated(
        parameters.Choice([severity.label for severity in Severity]), required=False
    )
    category = parameters.Repeated(parameters.Slug50(), required=False)
    cause_type = parameters.Choice(CauseType.choices, required=False)
    trigger_type = parameters.Slug50(required=False)
    agent_id = parameters.Identifier(required=False, help_text="Of any alert of the incident.")
    run_id = parameters.RunIdentifier(required=False, help_text="Of any alert of the incident.")
    assignee = parameters.Text(max_length=100, required=False)
    is_synthetic = parameters.Boolean(required=False)
    created_after = parameters.Timestamp(required=False, help_text="At or after.")
    created_before = parameters.Timestamp(required=False, help_text="Before.")
    resolved_after = parameters.Timestamp(required=False, help_text="At or after.")
    resolved_before = parameters.Timestamp(required=False, help_text="Before.")
    search = parameters.Text(
        max_length=200,
        required=False,
        help_text="Words in the title, description, error message or timeline.",
    )
    as_of = parameters.Timestamp(required=False, help_text="Hides what was created later.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "retention_days" in attrs and attrs.get("topic") != "historical":
            raise serializers.ValidationError({"retention_days": "goes only with topic=historical"})
        return attrs


class IncidentListParameters(parameters.ListParameters, IncidentFilterParameters):
    """The filters, an ordering and a page.

    Walked by ``created_at`` under ``as_of``, each incident comes exactly once while others
    arrive. The other orderings go by what changes: they show the present, and an incident that
    moves during a walk may come twice or not at all.
    """

    ordering = parameters.Ordering(ORDERINGS, required=False)


class CategoriesFilter(django_filters.Filter):
    """Any of the categories that were given."""

    field_class = SimpleListField

    def filter(self, queryset: Incidents, value: list[str]) -> Incidents:
        return queryset.filter(category__in=value) if value else queryset


class IncidentFilter(django_filters.FilterSet):
    """What each of those parameters means for a queryset of incidents.

    A view lets :class:`IncidentFilterParameters` refuse what is wrong first, by name; what comes
    here is of the right form.
    """

    topic = django_filters.CharFilter(method="by_topic")
    status = django_filters.MultipleChoiceFilter(choices=Status.choices)
    severity = django_filters.MultipleChoiceFilter(
        choices=[(severity.label, severity.label) for severity in Severity],
        method="by_severity",
    )
    category = CategoriesFilter()
    cause_type = django_filters.ChoiceFilter(choices=CauseType.choices)
    trigger_type = django_filters.CharFilter()
    agent_id = django_filters.CharFilter(method="by_agent", strip=False)
    run_id = django_filters.CharFilter(method="by_run", strip=False)
    assignee = django_filters.CharFilter(strip=False)
    is_synthetic = django_filters.BooleanFilter()
    created_after = django_filters.IsoDateTimeFilter("created_at", "gte")
    created_before = django_filters.IsoDateTimeFilter("created_at", "lt")
    resolved_after = django_filters.IsoDateTimeFilter("resolved_at", "gte")
    resolved_before = django_filters.IsoDateTimeFilter("resolved_at", "lt")
    search = django_filters.CharFilter(method="by_words", strip=False)
    as_of = django_filters.IsoDateTimeFilter("created_at", "lte")

    class Meta:
        model = Incident
        fields: ClassVar[list[str]] = []

    def __init__(self, data: Any, queryset: Incidents, *, tenant: str | None = None) -> None:
        """``tenant`` says whose incidents ``queryset`` holds, where it holds only one's."""
        super().__init__(data, queryset)
        self.tenant_id = tenant

    def by_topic(self, queryset: Incidents, name: str, value: str) -> Incidents:
        if value == "active":
            return queryset.exclude(status=Status.RESOLVED)
        queryset = queryset.filter(status=Status.RESOLVED)
        if value == "historical":
            days = int(self.data.get("retention_days", DEFAULT_RETENTION_DAYS))
            queryset = queryset.filter(resolved_at__lt=clock.now() - timedelta(days=days))
        return queryset

    def by_severity(self, queryset: Incidents, name: str, value: list[str]) -> Incidents:
        return queryset.filter(severity__in=[Severity.named(label) for label in value])

    def by_agent(self, queryset: Incidents, name: str, value: str) -> Incidents:
        links = IncidentAgent.objects.filter(
            tenant_id=OuterRef("tenant_id"), agent_id=value, incident_id=OuterRef("pk")
        )
        return queryset.filter(Exists(links))

    def by_run(self, queryset: Incidents, name: str, value: str) -> Incidents:
        links = IncidentRun.objects.filter(
            tenant_id=OuterRef("tenant_id"), run_id=value, incident_id=OuterRef("pk")
        )
        return queryset.filter(Exists(links))

    def by_words(self, queryset: Incidents, name: str, value: str) -> Incidents:
        return search.matching(queryset, value, tenant=self.tenant_id)
