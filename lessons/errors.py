"""What can go wrong with lessons and proposals, as errors of this app."""

from __future__ import annotations

from config.errors import Conflict, InvalidTransition, NotFound


class LessonNotFound(NotFound):
    detail = "There is no lesson with this id."


class ProposalNotFound(NotFound):
    detail = "There is no proposal with this id."


class LessonTransition(InvalidTransition):
    """The lesson's state machine has no such arrow."""


class ProposalTransition(InvalidTransition):
    """The proposal's state machine has no such arrow."""


class NothingToMatch(Conflict):
    """The proposal's rule names nothing that a report could be equal in."""

    code = "nothing_to_match"
    detail = (
        "The proposed rule names no trigger type, error code, category or agent: "
        "it would match nothing."
    )
