"""Replaces the evidence half of the failure and violation drivers: capturing payloads, hashed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from config import clock
from config.actors import Actor
from config.tenancy import scope
from incidents.enums import EventType
from incidents.models import Event, Evidence, Incident
from incidents.models.evidence import canonical


def capture(
    *,
    tenant_id: str,
    by: Actor,
    at: datetime,
    kind: str,
    data: Mapping[str, Any],
    incident_id: UUID | None = None,
    run_id: str | None = None,
    failure_id: UUID | None = None,
    violation_id: UUID | None = None,
    recovery_executed: bool = False,
) -> Evidence:
    """Keeps a JSON object as evidence, in the caller's transaction."""
    evidence: Evidence = Evidence.objects.create(
        tenant_id=tenant_id,
        incident_id=incident_id,
        run_id=run_id,
        failure_id=failure_id,
        violation_id=violation_id,
        kind=kind,
        data=data,
        sha256=sha256(canonical(data)).hexdigest(),
        recovery_executed=recovery_executed,
        actor=by.name,
        via=by.via,
        created_at=at,
    )
    return evidence


def attach(
    *,
    incident: Incident,
    by: Actor,
    kind: str,
    data: Mapping[str, Any],
    recovery_executed: bool = False,
) -> Evidence:
    """Adds evidence to an incident, which its timeline shows."""
    with scope.tenant(incident.tenant_id):
        at = clock.now()
        evidence = capture(
            tenant_id=incident.tenant_id,
            by=by,
            at=at,
            kind=kind,
            data=data,
            incident_id=incident.pk,
            recovery_executed=recovery_executed,
        )
        Event.objects.create(
            tenant_id=incident.tenant_id,
            incident_id=incident.pk,
            event_type=EventType.EVIDENCE_ADDED,
            description=f"Evidence added by {by}: {kind}"
            f"{', of a recovery that was executed' if recovery_executed else ''}.",
            actor=by.name,
            via=by.via,
            data={
                "evidence": str(evidence.pk),
                "sha256": evidence.sha256,
                "recovery_executed": recovery_executed,
            },
            created_at=at,
        )
    return evidence
