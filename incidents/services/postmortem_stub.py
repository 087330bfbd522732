"""Replaces the post-mortem stub of the incident writes: where the writing of one begins."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from config import clock
from config.actors import Actor
from config.api.values import format_timestamp
from config.tenancy import scope
from incidents.enums import EventType, Severity
from incidents.errors import IncidentNotFound, IncidentTransition
from incidents.models import Event, Incident


@dataclass(frozen=True, slots=True)
class Stub:
    """The beginning of a post-mortem: what is known, and the headings of what is not."""

    postmortem_id: UUID
    incident: Incident
    text: str


def start(*, incident: Incident, by: Actor) -> Stub:
    """Begins the post-mortem of an incident, once; its timeline keeps the text.

    IncidentTransition when it has one, be it one that was named when it was resolved.
    """
    with scope.tenant(incident.tenant_id):
        current: Incident | None = (
            Incident.objects.for_tenant(incident.tenant_id)
            .select_for_update(no_key=True)
            .filter(pk=incident.pk)
            .first()
        )
        if current is None:
            raise IncidentNotFound
        if current.postmortem_id is not None:
            raise IncidentTransition(f"The incident has a post-mortem: {current.postmortem_id}.")
        at = clock.now()
        id_ = clock.uuid7()
        text = _text(current)
        Incident.objects.filter(pk=current.pk).update(postmortem_id=str(id_))
        current.postmortem_id = str(id_)
        Event.objects.create(
            tenant_id=current.tenant_id,
            incident_id=current.pk,
            event_type=EventType.POSTMORTEM_STARTED,
            description=f"Post-mortem started by {by}.",
            actor=by.name,
            via=by.via,
            data={"postmortem_id": str(id_), "text": text},
            created_at=at,
        )
    return Stub(id_, current, text)


def _text(incident: Incident) -> str:
    ended = (
        f"resolved at {format_timestamp(incident.resolved_at)} ({incident.resolution_method})"
        if incident.resolved_at
        else "not resolved yet"
    )
    lines = [
        f"# Post-mortem: {incident.title}",
        "",
        "## What happened",
        "",
        f"- Severity: {Severity(incident.severity).label}",
        f"- Trigger: {incident.trigger_type}"
        + (f", group {incident.group_key}" if incident.group_key else ""),
        f"- From {format_timestamp(incident.started_at)} "
        f"to {format_timestamp(incident.last_seen_at)}; {ended}",
        f"- Calls affected: {incident.calls_affected}, alerts: {incident.alerts_count}",
    ]
    if incident.error_message:
        lines.append(f"- First error: {incident.error_message}")
    for heading in ("Root cause", "What went well", "What went badly", "Actions"):
        lines += ["", f"## {heading}", ""]
    return "\n".join(lines)
