"""Other incidents of the same kind, and what was learned from this one."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Q

from exports.services.assembly.values import moment
from exports.services.documents import LessonFacts, Recurrence
from incidents.enums import Severity
from incidents.models import Incident
from lessons.models import Lesson

WINDOW_DAYS: Final = 30
# All are counted; the latest are named.
MOST_NAMED: Final = 50


def recurrence(incident: Incident) -> Recurrence:
    """Incidents that began within WINDOW_DAYS before or after, of the same failure signature or
    of the same trigger and group.
    """
    kind = Q(trigger_type=incident.trigger_type, group_key=incident.group_key)
    if incident.signature is not None:
        kind |= Q(signature=incident.signature)
    window = timedelta(days=WINDOW_DAYS)
    found = (
        Incident.objects.filter(
            kind,
            tenant_id=incident.tenant_id,
            started_at__range=(incident.started_at - window, incident.started_at + window),
        )
        .exclude(pk=incident.pk)
        .order_by("-started_at", "-id")
        .values_list("pk", flat=True)
    )
    return {
        "window_days": WINDOW_DAYS,
        "occurrences": found.count(),
        "incident_ids": [str(pk) for pk in found[:MOST_NAMED]],
    }


def lessons(incident: Incident) -> list[LessonFacts]:
    """The lessons drawn from this incident, in the order they were."""
    found = Lesson.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk)
    return [
        {
            "id": str(lesson.pk),
            "lesson_type": str(lesson.lesson_type),
            "title": lesson.title,
            "status": str(lesson.status),  # type: ignore[typeddict-item]
            "severity": None if lesson.severity is None else Severity(lesson.severity).label,  # type: ignore[typeddict-item]
            "proposed_action": lesson.proposed_action,
            "created_at": moment(lesson.created_at),
        }
        for lesson in found.order_by("created_at", "id")
    ]
