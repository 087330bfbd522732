"""What people do to incidents in the admin: each act is a service's, under the person's name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from config.actors import Actor
from config.errors import FirebreakError
from incidents.admin.forms import (
    ActForm,
    AssignForm,
    CommentForm,
    ReopenForm,
    ResolveForm,
    SeverityForm,
)
from incidents.models import Incident
from incidents.services import lifecycle

MAX_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do: its words, its form, the transition that allows it, the service's verb."""

    name: str
    title: str
    done: str
    form: type[ActForm]
    transition: lifecycle.Transition
    verb: Callable[..., Any]
    many: Callable[..., list[lifecycle.Result]] | None = None
    key: str = ""
    # What stands before "this incident", where that is not the title.
    of: str = ""

    @property
    def lead(self) -> str:
        """The beginning of the sentence that names what it is done to."""
        return self.of or self.title

    @property
    def asks(self) -> bool:
        """Whether there is anything to fill in."""
        return bool(self.form.base_fields)


ACTS: Final = {
    act.name: act
    for act in (
        Act(
            "acknowledge",
            "Acknowledge",
            "Acknowledged",
            ActForm,
            lifecycle.ACKNOWLEDGE,
            lifecycle.acknowledge,
            lifecycle.acknowledge_all,
            key="a",
        ),
        Act(
            "resolve",
            "Resolve",
            "Resolved",
            ResolveForm,
            lifecycle.RESOLVE,
            lifecycle.resolve,
            lifecycle.resolve_all,
            key="r",
        ),
        Act("reopen", "Reopen", "Reopened", ReopenForm, lifecycle.REOPEN, lifecycle.reopen),
        Act(
            "assign",
            "Assign",
            "Assigned",
            AssignForm,
            lifecycle.ASSIGN,
            lifecycle.assign,
            lifecycle.assign_all,
        ),
        Act(
            "severity",
            "Set severity",
            "Severity set",
            SeverityForm,
            lifecycle.SET_SEVERITY,
            lifecycle.set_severity,
            lifecycle.set_severity_all,
            of="Set the severity of",
        ),
        Act(
            "comment",
            "Comment",
            "Commented",
            CommentForm,
            lifecycle.COMMENT,
            lifecycle.comment,
            of="Comment on",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did to one incident: nothing went wrong, or this did."""

    incident: Incident
    error: FirebreakError | None = None


def perform(
    act: Act, incidents: Iterable[Incident], *, by: Actor, arguments: dict[str, Any]
) -> list[Done]:
    """Does the act to each incident by itself; what is refused says why and stays as it was."""
    incidents = list(incidents)
    if act.many is None:
        return [_alone(act, incident, by, arguments) for incident in incidents]
    of_tenant: defaultdict[str, list[UUID]] = defaultdict(list)
    for incident in incidents:
        of_tenant[incident.tenant_id].append(incident.pk)
    results = {
        result.id: result
        for tenant, ids in of_tenant.items()
        for result in act.many(tenant=tenant, ids=ids, by=by, **arguments)
    }
    return [Done(results[one.pk].incident or one, results[one.pk].error) for one in incidents]


def _alone(act: Act, incident: Incident, by: Actor, arguments: dict[str, Any]) -> Done:
    try:
        act.verb(incident=incident, by=by, **arguments)
    except FirebreakError as error:
        return Done(incident, error)
    return Done(incident)
