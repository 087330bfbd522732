"""The incident itself, its timeline, and the times that matter, each with who brought it about."""

from __future__ import annotations

import json
from datetime import datetime

from exports.services.assembly.values import moment, money
from exports.services.documents import IncidentFacts, Milestone, Milestones, TimelineEntry
from incidents.enums import EventType, Severity, Status
from incidents.models import Event, Incident

TIMELINE = "the timeline"


def incident_facts(incident: Incident) -> IncidentFacts:
    """The incident as its detail shows it."""
    return {
        "id": str(incident.pk),
        "title": incident.title,
        "description": incident.description or None,
        "status": str(incident.status),  # type: ignore[typeddict-item]
        "severity": Severity(incident.severity).label,  # type: ignore[typeddict-item]
        "category": incident.category,
        "trigger_type": incident.trigger_type,
        "trigger_value": incident.trigger_value,
        "group_key": incident.group_key,
        "cause_type": str(incident.cause_type),
        "source_type": str(incident.source_type),
        "calls_affected": incident.calls_affected,
        "alerts_count": incident.alerts_count,
        "cost_delta_cents": money(incident.cost_delta_cents),
        "assignee": incident.assignee,
        "window_start": moment(incident.window_start),
        "started_at": moment(incident.started_at),
        "last_seen_at": moment(incident.last_seen_at),
        "created_at": moment(incident.created_at),
        "acknowledged_at": moment(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "resolved_at": moment(incident.resolved_at),
        "resolved_by": incident.resolved_by,
        "resolution_method": incident.resolution_method,
        "resolution_type": incident.resolution_type,
        "resolution_summary": incident.resolution_summary,
        "postmortem_id": incident.postmortem_id,
        "run_id": incident.run_id,
        "agent_id": incident.agent_id,
        "model": incident.model,
        "error_code": incident.error_code,
        "error_message": incident.error_message,
        "auto_action": incident.auto_action,
        "signature": incident.signature,
        "metadata": as_text(incident.metadata),
        "is_synthetic": incident.is_synthetic,
        "synthetic_scenario_id": incident.synthetic_scenario_id,
    }


def as_text(value: object) -> str | None:
    """JSON of any shape as its compact text: a bundle itself holds no floats."""
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def events(incident: Incident) -> list[Event]:
    """The timeline, oldest first."""
    return list(
        Event.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk).order_by(
            "created_at", "id"
        )
    )


def timeline(found: list[Event]) -> list[TimelineEntry]:
    return [
        {
            "id": str(event.pk),
            "at": moment(event.created_at),
            "event_type": str(event.event_type),
            "actor": event.actor,
            "via": event.via,
            "description": event.description,
        }
        for event in found
    ]


def milestones(incident: Incident, found: list[Event]) -> Milestones:
    """When the incident was detected, acknowledged, contained and resolved, and by whom.

    An incident that was reopened is neither acknowledged nor resolved by what came before; the
    timeline still has that. What is unresolved is not contained: alerts may go on.
    """
    resolved = _act(found, EventType.RESOLVED, incident.resolved_at, of="resolved")
    return {
        "detected": _act(found, EventType.OPENED, incident.created_at, of="recorded"),
        "acknowledged": _act(
            found, EventType.ACKNOWLEDGED, incident.acknowledged_at, of="acknowledged"
        ),
        "contained": _contained(incident, resolved),
        "resolved": resolved,
    }


def _contained(incident: Incident, resolved: Milestone | None) -> Milestone | None:
    if incident.status != Status.RESOLVED or incident.resolved_at is None or resolved is None:
        return None
    if not incident.alerts_count:
        said = "its resolution, by which it was contained at the latest; no alert tells when"
        return {**resolved, "source": said}
    # An alert may be dated a little ahead.
    at = min(incident.last_seen_at, incident.resolved_at)
    said = "the last alert before it was resolved"
    return {"at": moment(at), "actor": None, "via": None, "source": said}


def _act(found: list[Event], kind: EventType, at: datetime | None, *, of: str) -> Milestone | None:
    """The act of this kind that happened at this time, by the timeline if that has it."""
    if at is None:
        return None
    event = next((event for event in reversed(found) if event.event_type == kind), None)
    if event is None or event.created_at != at:
        said = f"when it was {of}, by the incident"
        return {"at": moment(at), "actor": None, "via": None, "source": said}
    return {"at": moment(at), "actor": event.actor, "via": event.via, "source": TIMELINE}
