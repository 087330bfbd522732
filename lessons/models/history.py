"""What happened to lessons and proposals, and who did it; append-only."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from lessons.enums import LessonEventType, ProposalEventType


class HistoryEntry(models.Model):
    """``actor`` is the person as the caller named them, ``via`` what they acted through."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    description = models.TextField()
    actor = models.CharField(max_length=150, null=True, blank=True)
    via = models.CharField(max_length=100)
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering: ClassVar = ["created_at", "id"]


class LessonEvent(HistoryEntry):
    """One entry in the history of a lesson."""

    lesson = models.ForeignKey(
        "lessons.Lesson", on_delete=models.PROTECT, related_name="events", db_index=False
    )
    event_type = models.CharField(max_length=20, choices=LessonEventType.choices)

    class Meta(HistoryEntry.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(event_type__in=LessonEventType.values), name="lesson_event_known"
            ),
        ]
        indexes: ClassVar = [
            # The history of one lesson.
            models.Index(fields=["lesson", "created_at", "id"], name="lesson_history"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M:%S} {self.event_type}"


class ProposalEvent(HistoryEntry):
    """One entry in the history of a proposal."""

    proposal = models.ForeignKey(
        "lessons.Proposal", on_delete=models.PROTECT, related_name="events", db_index=False
    )
    event_type = models.CharField(max_length=20, choices=ProposalEventType.choices)

    class Meta(HistoryEntry.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(event_type__in=ProposalEventType.values), name="proposal_event_known"
            ),
        ]
        indexes: ClassVar = [
            # The history of one proposal.
            models.Index(fields=["proposal", "created_at", "id"], name="proposal_history"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M:%S} {self.event_type}"
