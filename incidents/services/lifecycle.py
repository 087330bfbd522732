"""Replaces the incident write driver: what people do to incidents, each act on the timeline.

Every act locks the incidents it is about, checks them against the transition table, and writes
the change and its timeline events in one transaction with one timestamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from config import clock
from config.actors import Actor
from config.errors import FirebreakError
from config.tenancy.models import Tenant
from incidents import facts
from incidents.enums import (
    CauseType,
    EventType,
    ResolutionMethod,
    ResolutionType,
    Severity,
    SourceType,
    Status,
)
from incidents.errors import IncidentNotFound, IncidentTransition, KeyHeld
from incidents.models import Event, Incident
from incidents.services.aggregation import linking, state

ANY: Final = frozenset(Status)


@dataclass(frozen=True, slots=True)
class Transition:
    """An act: the states it may start from, the one it leads to (None: the same), its event."""

    name: str
    sources: frozenset[Status]
    target: Status | None
    event: EventType


ACKNOWLEDGE: Final = Transition(
    "acknowledge", frozenset({Status.OPEN}), Status.ACKNOWLEDGED, EventType.ACKNOWLEDGED
)
RESOLVE: Final = Transition(
    "resolve", frozenset({Status.OPEN, Status.ACKNOWLEDGED}), Status.RESOLVED, EventType.RESOLVED
)
REOPEN: Final = Transition("reopen", frozenset({Status.RESOLVED}), Status.OPEN, EventType.REOPENED)
ASSIGN: Final = Transition("assign", ANY, None, EventType.ASSIGNED)
SET_SEVERITY: Final = Transition("severity", ANY, None, EventType.SEVERITY_CHANGED)
COMMENT: Final = Transition("comment", ANY, None, EventType.COMMENTED)

TRANSITIONS: Final = {
    transition.name: transition
    for transition in (ACKNOWLEDGE, RESOLVE, REOPEN, ASSIGN, SET_SEVERITY, COMMENT)
}


def can(transition: Transition, incident: Incident) -> bool:
    """Whether the incident's state allows the act."""
    return Status(incident.status) in transition.sources


def check_can(transition: Transition, incident: Incident) -> None:
    """Raises IncidentTransition, naming both states, when the state does not allow the act."""
    if not can(transition, incident):
        sources = " or ".join(sorted(transition.sources))
        target = transition.target or transition.name
        raise IncidentTransition(
            f"The incident is {incident.status}: only {sources} can become {target}."
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What an act did to one of several incidents: the incident, or why it was refused."""

    id: UUID
    incident: Incident | None = None
    error: FirebreakError | None = None


def acknowledge(*, incident: Incident, by: Actor) -> Incident:
    """Takes an open incident into somebody's hands; it goes on absorbing alerts."""
    return _only(acknowledge_all(tenant=incident.tenant_id, ids=[incident.pk], by=by))


def acknowledge_all(*, tenant: str, ids: Sequence[UUID], by: Actor) -> list[Result]:
    """As :func:`acknowledge`, for each of these incidents of the tenant by itself."""
    at = clock.now()
    return _act(
        ACKNOWLEDGE,
        tenant,
        ids,
        by=by,
        at=at,
        change=lambda _: {"acknowledged_at": at, "acknowledged_by": str(by)},
        describe=lambda _: f"Acknowledged by {by}.",
    )


def resolve(
    *,
    incident: Incident,
    by: Actor,
    method: ResolutionMethod,
    type: ResolutionType | None = None,
    summary: str | None = None,
    postmortem_id: str | None = None,
) -> Incident:
    """Ends an incident; from then on it absorbs nothing."""
    return _only(
        resolve_all(
            tenant=incident.tenant_id,
            ids=[incident.pk],
            by=by,
            method=method,
            type=type,
            summary=summary,
            postmortem_id=postmortem_id,
        )
    )


def resolve_all(
    *,
    tenant: str,
    ids: Sequence[UUID],
    by: Actor,
    method: ResolutionMethod,
    type: ResolutionType | None = None,
    summary: str | None = None,
    postmortem_id: str | None = None,
) -> list[Result]:
    """As :func:`resolve`, for each of these incidents of the tenant by itself."""
    at = clock.now()
    changes: dict[str, Any] = {
        "resolved_at": at,
        "resolved_by": str(by),
        "resolution_method": method,
        "resolution_type": type,
        "resolution_summary": summary,
    }
    if postmortem_id is not None:
        changes["postmortem_id"] = postmortem_id
    outcome = f" as {ResolutionType(type).label.lower()}" if type else ""
    return _act(
        RESOLVE,
        tenant,
        ids,
        by=by,
        at=at,
        change=lambda _: changes,
        describe=lambda _: f"Resolved{outcome} by {by}.{f' {summary}' if summary else ''}",
        data=lambda _: {"method": method, "type": type},
    )


def reopen(*, incident: Incident, by: Actor, reason: str) -> Incident:
    """Makes a resolved incident open again; KeyHeld while another unresolved one has its key."""
    at = clock.now()
    changes = {
        "acknowledged_at": None,
        "acknowledged_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "resolution_method": None,
        "resolution_type": None,
        "resolution_summary": None,
        "quiet_since": at,
    }
    try:
        with transaction.atomic():
            # Whoever opens incidents of the tenant holds this lock; so does who reopens one.
            state.lock_creation(incident.tenant_id)
            return _only(
                _act(
                    REOPEN,
                    incident.tenant_id,
                    [incident.pk],
                    by=by,
                    at=at,
                    change=lambda _: changes,
                    describe=lambda _: f"Reopened by {by}: {reason}",
                    data=lambda _: {"reason": reason},
                )
            )
    except IntegrityError as error:
        if "incident_unresolved_key" in str(error):
            raise KeyHeld(
                "Another unresolved incident holds the same trigger, group and window."
            ) from error
        raise


def assign(*, incident: Incident, by: Actor, assignee: str | None) -> Incident:
    """Gives the incident to a person, or to nobody."""
    return _only(assign_all(tenant=incident.tenant_id, ids=[incident.pk], by=by, assignee=assignee))


def assign_all(
    *, tenant: str, ids: Sequence[UUID], by: Actor, assignee: str | None
) -> list[Result]:
    """As :func:`assign`, for each of these incidents of the tenant by itself."""
    return _act(
        ASSIGN,
        tenant,
        ids,
        by=by,
        at=clock.now(),
        change=lambda _: {"assignee": assignee},
        describe=lambda _: (
            f"Assigned to {assignee} by {by}." if assignee else f"Unassigned by {by}."
        ),
        data=lambda before: {"from": before.assignee, "to": assignee},
    )


def set_severity(*, incident: Incident, by: Actor, severity: Severity, reason: str) -> Incident:
    """Sets the severity in either direction; automatic escalation counts calls from here on."""
    return _only(
        set_severity_all(
            tenant=incident.tenant_id, ids=[incident.pk], by=by, severity=severity, reason=reason
        )
    )


def set_severity_all(
    *, tenant: str, ids: Sequence[UUID], by: Actor, severity: Severity, reason: str
) -> list[Result]:
    """As :func:`set_severity`, for each of these incidents of the tenant by itself."""
    return _act(
        SET_SEVERITY,
        tenant,
        ids,
        by=by,
        at=clock.now(),
        change=lambda _: {"severity": severity, "escalation_base": F("calls_affected")},
        describe=lambda before: (
            f"Severity changed from {Severity(before.severity).label} to "
            f"{Severity(severity).label} by {by}: {reason}"
        ),
        data=lambda before: {
            "from": Severity(before.severity).label,
            "to": Severity(severity).label,
            "reason": reason,
        },
    )


def comment(*, incident: Incident, by: Actor, description: str) -> Event:
    """Puts a person's words on the timeline."""
    return Event.objects.create(
        tenant_id=incident.tenant_id,
        incident_id=incident.pk,
        event_type=EventType.COMMENTED,
        description=description,
        actor=by.name,
        via=by.via,
        created_at=clock.now(),
    )


def open_by_hand(
    *,
    tenant: Tenant,
    by: Actor,
    title: str,
    severity: Severity,
    category: str | None = None,
    description: str = "",
    run_id: str | None = None,
) -> Incident:
    """Opens an incident that a person saw: trigger manual, in a group of its own."""
    with transaction.atomic():
        state.lock_creation(tenant.pk)
        at = clock.now()
        id_ = clock.uuid7()
        incident = Incident.objects.create(
            id=id_,
            tenant=tenant,
            title=title,
            description=description,
            severity=severity,
            category=category,
            trigger_type=facts.TRIGGER_MANUAL,
            group_key=str(id_),
            cause_type=CauseType.HUMAN,
            source_type=SourceType.MANUAL,
            run_id=run_id,
            window_start=at,
            started_at=at,
            last_seen_at=at,
            quiet_since=at,
            created_at=at,
        )
        _record([incident], EventType.OPENED, by=by, at=at, describe=lambda _: f"Opened by {by}.")
        if run_id is not None:
            linking.write_runs(tenant.pk, {run_id: None}, {(run_id, id_)}, set(), at=at)
    return incident


def _act(
    transition: Transition,
    tenant: str,
    ids: Iterable[UUID],
    *,
    by: Actor,
    at: datetime,
    change: Callable[[Incident], dict[str, Any]],
    describe: Callable[[Incident], str],
    data: Callable[[Incident], dict[str, Any]] = lambda _: {},
) -> list[Result]:
    """Does one act to several incidents at once; each is changed or refused by itself.

    ``change``, ``describe`` and ``data`` are given the incident as it was before; ``change`` has
    to say the same for all.
    """
    wanted = list(dict.fromkeys(ids))
    with transaction.atomic():
        found = {
            incident.pk: incident
            for incident in Incident.objects.select_for_update(no_key=True)
            .for_tenant(tenant)
            .filter(pk__in=wanted)
            .order_by("pk")
        }
        allowed = [incident for incident in found.values() if can(transition, incident)]
        results: dict[UUID, Result] = {}
        for id_ in wanted:
            try:
                if id_ not in found:
                    raise IncidentNotFound
                check_can(transition, found[id_])
            except FirebreakError as error:
                results[id_] = Result(id_, error=error)
        if allowed:
            changes = change(allowed[0])
            if transition.target is not None:
                changes = {**changes, "status": transition.target}
            Incident.objects.filter(pk__in=[incident.pk for incident in allowed]).update(**changes)
            _record(allowed, transition.event, by=by, at=at, describe=describe, data=data)
            changed = Incident.objects.in_bulk([incident.pk for incident in allowed])
            results |= {id_: Result(id_, incident=changed[id_]) for id_ in changed}
    return [results[id_] for id_ in wanted]


def _record(
    incidents: Iterable[Incident],
    event_type: EventType,
    *,
    by: Actor,
    at: datetime,
    describe: Callable[[Incident], str],
    data: Callable[[Incident], dict[str, Any]] = lambda _: {},
) -> None:
    Event.objects.bulk_create(
        Event(
            tenant_id=incident.tenant_id,
            incident_id=incident.pk,
            event_type=event_type,
            description=describe(incident),
            actor=by.name,
            via=by.via,
            data=data(incident),
            created_at=at,
        )
        for incident in incidents
    )


def _only(results: Sequence[Result]) -> Incident:
    (result,) = results
    if result.error is not None:
        raise result.error
    assert result.incident is not None  # noqa: S101 - a result has one or the other
    return result.incident
