"""What can go wrong with an incident, as errors of this app."""

from __future__ import annotations

from config.errors import Conflict, InvalidTransition, NotFound


class IncidentNotFound(NotFound):
    detail = "There is no incident with this id."


class RunNotFound(NotFound):
    detail = "There is no run with this id."


class FailureNotFound(NotFound):
    detail = "The run has no failure."


class TraceNotFound(NotFound):
    detail = "The run has no trace."


class ViolationNotFound(NotFound):
    detail = "There is no violation with this id."


class RuleNotFound(NotFound):
    detail = "There is no rule with this id."


class IncidentTransition(InvalidTransition):
    """The incident's state machine has no such arrow."""


class KeyHeld(Conflict):
    """Another unresolved incident already holds this one's trigger, group and window."""

    code = "key_held"


class RunEnded(InvalidTransition):
    """The run has ended already, differently."""


class TraceKept(Conflict):
    """An incident points to the run, so that the steps it has stay as they are."""

    code = "trace_kept"


class EndpointNotFound(NotFound):
    detail = "There is no webhook with this id."


class DeliveryNotFound(NotFound):
    detail = "The webhook has no delivery with this id."


class DeliveryPending(Conflict):
    """The delivery waits to be sent as it is."""

    code = "delivery_pending"
    detail = "The delivery is pending."
