"""Which lessons and proposals a list is about."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet

from config.api import parameters
from incidents.enums import Severity
from lessons.enums import LessonStatus, LessonType, ProposalStatus
from lessons.models import Lesson, Proposal

SEVERITIES = [severity.label for severity in Severity]


class StatisticsParameters(parameters.Parameters):
    include_synthetic = parameters.Boolean(help_text="Default false.")


class LessonListParameters(parameters.ListParameters):
    """The filters and a page."""

    lesson_type = parameters.Choice(LessonType.choices, required=False)
    status = parameters.Choice(LessonStatus.choices, required=False)
    severity = parameters.Choice(SEVERITIES, required=False)
    include_synthetic = parameters.Boolean(help_text="Default false.")
    ordering = parameters.Ordering(["created_at"], required=False)


class ProposalListParameters(parameters.ListParameters):
    """The filters and a page."""

    status = parameters.Choice(ProposalStatus.choices, required=False)
    ordering = parameters.Ordering(["created_at"], required=False)


class LessonFilter(django_filters.FilterSet):
    """What each parameter means for a queryset of lessons; what comes here was checked before."""

    lesson_type = django_filters.ChoiceFilter(choices=LessonType.choices)
    status = django_filters.ChoiceFilter(choices=LessonStatus.choices)
    severity = django_filters.CharFilter(method="by_severity")

    class Meta:
        model = Lesson
        fields: ClassVar[list[str]] = []

    def by_severity(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(severity=Severity.named(value))

    @property
    def qs(self) -> QuerySet[Any]:
        found: QuerySet[Any] = super().qs
        if self.data.get("include_synthetic") == "true":
            return found
        return found.filter(is_synthetic=False)


class ProposalFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=ProposalStatus.choices)

    class Meta:
        model = Proposal
        fields: ClassVar[list[str]] = []
