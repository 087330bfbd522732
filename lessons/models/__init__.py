"""The tables of lessons: what was learned, what was proposed, and who decided."""

from lessons.models.history import LessonEvent, ProposalEvent
from lessons.models.lesson import CaptureMark, Lesson, NearThreshold
from lessons.models.proposal import Proposal

__all__ = ["CaptureMark", "Lesson", "LessonEvent", "NearThreshold", "Proposal", "ProposalEvent"]
