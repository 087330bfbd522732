"""Lessons and proposals in every state, reached by the services, and floods to learn from."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.models import Incident
from incidents.services import aggregation, lifecycle
from incidents.services.aggregation import Absorbed
from incidents.services.reports import Report
from lessons.enums import LessonStatus, LessonType, ProposalStatus
from lessons.models import Lesson, Proposal
from lessons.services import lifecycle as lessons
from lessons.services import proposals, reporting

ADA = Actor(via="test key", name="Ada")

_numbers = itertools.count(1)


def flood(tenant: Tenant, *, calls: int = 3, **fields: Any) -> Absorbed:
    """Reports so many calls that failed alike; what became of them."""
    values: dict[str, Any] = {
        "trigger_type": "failure_spike",
        "group_key": "checkout",
        "agent_id": "checkout-agent",
        "error_code": "EXECUTION_TIMEOUT",
        "error_message": "No answer within 60 s",
        "category": "execution_failure",
        "cost_delta_cents": "1.5",
    }
    reports = [
        Report(call_id=f"call-{next(_numbers)}", **{**values, **fields}) for _ in range(calls)
    ]
    return aggregation.absorb(tenant=tenant, alerts=reports)


def incident(tenant: Tenant, **fields: Any) -> Incident:
    """An incident that one flood of its own opened."""
    fields.setdefault("group_key", f"group-{next(_numbers)}")
    (opened,) = flood(tenant, **fields).incidents.values()
    return Incident.objects.get(pk=opened.pk)


def incident_by_hand(tenant: Tenant, *, severity: Severity = Severity.LOW) -> Incident:
    """An incident that somebody saw, without any alert."""
    return lifecycle.open_by_hand(tenant=tenant, by=ADA, title="Seen", severity=severity)


def lesson(tenant: Tenant, status: LessonStatus = LessonStatus.PENDING, **fields: Any) -> Lesson:
    """A failure lesson in a state; with a run of its own unless it has an incident."""
    if "incident_id" not in fields:
        fields.setdefault("run_id", f"run-{next(_numbers)}")
        fields.setdefault("detected_pattern", {"error_code": "STEP_FAILURE"})
    made = reporting.record(
        tenant=tenant,
        by=ADA,
        **{
            "lesson_type": LessonType.FAILURE,
            "title": "The step failed",
            "description": "It failed.",
            **fields,
        },
    ).lesson
    assert made is not None
    if status == LessonStatus.DEFERRED:
        return lessons.defer(lesson=made, by=ADA, until=clock.now() + timedelta(days=1))
    if status == LessonStatus.DISMISSED:
        return lessons.dismiss(lesson=made, by=ADA, reason="noise")
    if status == LessonStatus.CONVERTED:
        return lessons.convert(lesson=made, by=ADA)
    return made


def proposal(
    tenant: Tenant, status: ProposalStatus = ProposalStatus.DRAFT, **fields: Any
) -> Proposal:
    """A proposal in a state, converted from a lesson of its own."""
    made = lesson(tenant, LessonStatus.CONVERTED, **fields).proposal
    assert made is not None
    if status == ProposalStatus.APPROVED:
        return proposals.approve(proposal=made, by=ADA)
    if status == ProposalStatus.REJECTED:
        return proposals.reject(proposal=made, by=ADA, reason="too broad")
    return made
