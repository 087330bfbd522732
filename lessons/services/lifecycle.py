"""Replaces the lessons driver's changes: what people decide about lessons, each act on record.

Every act locks its lesson, checks it against the transition table, and writes the change and the
entry in its history in one transaction with one timestamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from config import clock
from config.actors import Actor
from config.errors import Invalid
from lessons.enums import LessonEventType, LessonStatus
from lessons.models import Lesson, Proposal
from lessons.services import history, proposals, transitions
from lessons.services.transitions import Transition

HOUSEKEEPING: Final = Actor(via="housekeeping")
_STEP: Final = 500


def defer(*, lesson: Lesson, by: Actor, until: datetime) -> Lesson:
    """Puts a pending lesson off until a moment, when housekeeping makes it pending again.

    Invalid when the moment is not in the future.
    """
    at = clock.now()
    if until <= at:
        raise Invalid.field("/until", "must be in the future")
    with transaction.atomic():
        return _change(
            transitions.DEFER,
            _held(transitions.DEFER, lesson),
            LessonEventType.DEFERRED,
            f"Deferred until {until:%Y-%m-%d %H:%M:%S} UTC by {by}.",
            by=by,
            at=at,
            data={"until": until.isoformat()},
            deferred_until=until,
        )


def dismiss(*, lesson: Lesson, by: Actor, reason: str) -> Lesson:
    """Ends a pending lesson: nothing is to be made of it, for this reason."""
    with transaction.atomic():
        return _change(
            transitions.DISMISS,
            _held(transitions.DISMISS, lesson),
            LessonEventType.DISMISSED,
            f"Dismissed by {by}: {reason}",
            by=by,
            at=clock.now(),
            data={"reason": reason},
            dismissed_reason=reason,
        )


def reactivate(*, lesson: Lesson, by: Actor) -> Lesson:
    """Makes a deferred lesson pending again before its time."""
    with transaction.atomic():
        return _change(
            transitions.REACTIVATE,
            _held(transitions.REACTIVATE, lesson),
            LessonEventType.REACTIVATED,
            f"Reactivated by {by}.",
            by=by,
            at=clock.now(),
            deferred_until=None,
        )


def convert(*, lesson: Lesson, by: Actor) -> Lesson:
    """Makes a proposal of a pending lesson.

    A draft of the same incident, or one that was approved, is that proposal: nobody has to
    decide about the same rule twice. After a rejection there is a new draft.
    """
    at = clock.now()
    with transaction.atomic():
        held = _held(transitions.CONVERT, lesson)
        proposal = proposals.of_lesson(lesson=held, by=by, at=at)
        return _change(
            transitions.CONVERT,
            held,
            LessonEventType.CONVERTED,
            f"Converted to a proposal by {by}.",
            by=by,
            at=at,
            data={"proposal_id": str(proposal.pk)},
            proposal=proposal,
        )


def reactivate_expired() -> int:
    """Makes every deferred lesson whose time has come pending again; how many there were.

    Works in steps of their own transactions; what another process is working on is left to it.
    """
    reactivated = 0
    while True:
        at = clock.now()
        with transaction.atomic():
            expired = list(
                Lesson.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(status=LessonStatus.DEFERRED, deferred_until__lte=at)
                .order_by("deferred_until")[:_STEP]
            )
            Lesson.objects.filter(pk__in=[lesson.pk for lesson in expired]).update(
                status=transitions.REACTIVATE.target, deferred_until=None
            )
            history.of_lessons(
                expired,
                LessonEventType.REACTIVATED,
                f"Reactivated by {HOUSEKEEPING}: its time had come.",
                by=HOUSEKEEPING,
                at=at,
            )
        reactivated += len(expired)
        if len(expired) < _STEP:
            return reactivated


def let_go_of_incidents(tenant_id: str, incident_ids: Sequence[UUID]) -> None:
    """Lets lessons and proposals outlive incidents that are about to be deleted."""
    for model in (Lesson, Proposal):
        model.objects.for_tenant(tenant_id).filter(incident_id__in=incident_ids).update(
            incident=None
        )


def _held(act: Transition, lesson: Lesson) -> Lesson:
    """The lesson as it is now, locked, in a state that allows the act."""
    held: Lesson = (
        Lesson.objects.select_for_update(no_key=True, of=("self",))
        .select_related("incident")
        .get(tenant_id=lesson.tenant_id, pk=lesson.pk)
    )
    transitions.check_can(act, held)
    return held


def _change(
    act: Transition,
    lesson: Lesson,
    event_type: LessonEventType,
    description: str,
    *,
    by: Actor,
    at: datetime,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> Lesson:
    for name, value in changes.items():
        setattr(lesson, name, value)
    lesson.status = act.target
    lesson.save(update_fields=["status", *changes])
    history.of_lessons([lesson], event_type, description, by=by, at=at, data=data)
    return lesson
