"""Writing the histories of lessons and proposals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from config.actors import Actor
from lessons.enums import LessonEventType, ProposalEventType
from lessons.models import Lesson, LessonEvent, Proposal, ProposalEvent


def of_lessons(
    lessons: Iterable[Lesson],
    event_type: LessonEventType,
    description: str,
    *,
    by: Actor,
    at: datetime,
    data: dict[str, Any] | None = None,
) -> None:
    """Puts the same entry into the history of each of the lessons."""
    LessonEvent.objects.bulk_create(
        LessonEvent(
            tenant_id=lesson.tenant_id,
            lesson=lesson,
            event_type=event_type,
            description=description,
            actor=by.name,
            via=by.via,
            data=data or {},
            created_at=at,
        )
        for lesson in lessons
    )


def of_proposals(
    proposals: Iterable[Proposal],
    event_type: ProposalEventType,
    description: str,
    *,
    by: Actor,
    at: datetime,
    data: dict[str, Any] | None = None,
) -> None:
    """Puts the same entry into the history of each of the proposals."""
    ProposalEvent.objects.bulk_create(
        ProposalEvent(
            tenant_id=proposal.tenant_id,
            proposal=proposal,
            event_type=event_type,
            description=description,
            actor=by.name,
            via=by.via,
            data=data or {},
            created_at=at,
        )
        for proposal in proposals
    )
