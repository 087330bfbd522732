"""What can go wrong with an incident, as errors of this app."""

from __future__ import annotations

from config.errors import Conflict, InvalidTransition, NotFound


class IncidentNotFound(NotFound):
    detail = "There is no incident with this id."


class RunNotFound(NotFound):
    detail = "There is no run with this id."


class IncidentTransition(InvalidTransition):
    """The incident's state machine has no such arrow."""


class KeyHeld(Conflict):
    """Another unresolved incident already holds this one's trigger, group and window."""

    code = "key_held"
