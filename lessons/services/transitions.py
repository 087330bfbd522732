"""The state machines of lessons and proposals, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lessons.enums import LessonStatus, ProposalStatus
from lessons.errors import LessonTransition, ProposalTransition
from lessons.models import Lesson, Proposal


@dataclass(frozen=True, slots=True)
class Transition:
    """An act, the only state that it may start from, and the one that it leads to."""

    name: str
    source: str
    target: str


DEFER: Final = Transition("defer", LessonStatus.PENDING, LessonStatus.DEFERRED)
DISMISS: Final = Transition("dismiss", LessonStatus.PENDING, LessonStatus.DISMISSED)
CONVERT: Final = Transition("convert", LessonStatus.PENDING, LessonStatus.CONVERTED)
REACTIVATE: Final = Transition("reactivate", LessonStatus.DEFERRED, LessonStatus.PENDING)

APPROVE: Final = Transition("approve", ProposalStatus.DRAFT, ProposalStatus.APPROVED)
REJECT: Final = Transition("reject", ProposalStatus.DRAFT, ProposalStatus.REJECTED)
AMEND: Final = Transition("amend", ProposalStatus.DRAFT, ProposalStatus.DRAFT)

OF_LESSONS: Final = {act.name: act for act in (DEFER, DISMISS, CONVERT, REACTIVATE)}
OF_PROPOSALS: Final = {act.name: act for act in (APPROVE, REJECT, AMEND)}


def can(act: Transition, subject: Lesson | Proposal) -> bool:
    """Whether the state of the lesson or proposal allows the act."""
    return subject.status == act.source


def check_can(act: Transition, subject: Lesson | Proposal) -> None:
    """Raises LessonTransition or ProposalTransition, naming both states, when it does not."""
    if can(act, subject):
        return
    noun, error = (
        ("lesson", LessonTransition)
        if isinstance(subject, Lesson)
        else ("proposal", ProposalTransition)
    )
    raise error(f"The {noun} is {subject.status}: only {act.source} can become {act.target}.")
