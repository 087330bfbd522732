"""Replaces the lessons driver's statistics: how many lessons there are, by type and status."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from config.tenancy.models import Tenant
from lessons.enums import LessonStatus, LessonType
from lessons.models import Lesson


@dataclass(frozen=True, slots=True)
class Statistics:
    """Numbers of lessons: all, by type, by status, and by status within each type."""

    total: int
    by_type: dict[str, int]
    by_status: dict[str, int]
    by_type_and_status: dict[str, dict[str, int]]


def of_tenant(*, tenant: Tenant, include_synthetic: bool = False) -> Statistics:
    """Counts the tenant's lessons; without the synthetic ones unless they are asked for."""
    lessons = Lesson.objects.for_tenant(tenant)
    if not include_synthetic:
        lessons = lessons.filter(is_synthetic=False)
    counts = {
        (type_, status): count
        for type_, status, count in lessons.order_by()
        .values_list("lesson_type", "status")
        .annotate(count=Count("pk"))
    }
    table = {
        type_: {status: counts.get((type_, status), 0) for status in LessonStatus.values}
        for type_ in LessonType.values
    }
    return Statistics(
        total=sum(counts.values()),
        by_type={type_: sum(row.values()) for type_, row in table.items()},
        by_status={
            status: sum(row[status] for row in table.values()) for status in LessonStatus.values
        },
        by_type_and_status=table,
    )
