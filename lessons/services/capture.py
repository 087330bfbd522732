"""Replaces the lessons driver's detection: pulls lessons out of new incidents.

Every incident but the overflow ones, which mix what has its own reports, teaches one failure
lesson; synthetic ones are captured with their flag. High and critical ones also yield a draft
proposal, whether they began so or became so. Both can be repeated, and run in several processes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from config import clock
from config.database.statements import run
from incidents.enums import Severity, SourceType
from incidents.models import Incident
from lessons.enums import LessonEventType, LessonStatus, LessonType
from lessons.models import Lesson, LessonEvent, Proposal
from lessons.services import drafting, history, proposals
from lessons.services.lifecycle import HOUSEKEEPING
from lessons.services.reporting import source_of

_STEP: Final = 500
# A lesson older than this yields no draft when its incident turns out to be severe.
_DRAFTED_WITHIN_DAYS: Final = 30

# An incident commits within minutes of its created_at, so that what lies further back than that
# from the newest captured one has been captured too.
_NEW: Final = f"""
SELECT i.* FROM tenancy_tenant t
LEFT JOIN lessons_capturemark m ON m.tenant_id = t.id
CROSS JOIN LATERAL (
    SELECT * FROM incidents_incident i
    WHERE i.tenant_id = t.id
        AND i.created_at >= coalesce(m.captured_to - interval '10 minutes', '-infinity')
) i
WHERE i.source_type <> '{SourceType.OVERFLOW}' AND NOT EXISTS (
    SELECT FROM lessons_lesson l
    WHERE l.tenant_id = i.tenant_id AND l.lesson_type = '{LessonType.FAILURE}'
        AND l.source = 'incident:' || i.id
)
ORDER BY i.tenant_id, i.created_at, i.id LIMIT {_STEP}
"""  # noqa: S608 - only our own constants are interpolated

_MARK: Final = """
INSERT INTO lessons_capturemark AS m (tenant_id, captured_to) VALUES (%s, %s)
ON CONFLICT (tenant_id) DO UPDATE SET captured_to = GREATEST(m.captured_to, excluded.captured_to)
"""


def capture() -> int:
    """Captures a failure lesson from every new incident of every tenant; how many there were."""
    captured = 0
    while True:
        at = clock.now()
        with transaction.atomic():
            incidents = list(Incident.objects.raw(_NEW))
            lessons = [
                Lesson(
                    tenant_id=incident.tenant_id,
                    lesson_type=LessonType.FAILURE,
                    source=source_of(incident_id=incident.pk),
                    title=f"Failure: {incident.title}"[:2000],
                    description=drafting.describe(incident),
                    severity=incident.severity,
                    incident=incident,
                    run_id=incident.run_id,
                    proposed_action=drafting.action(incident),
                    detected_pattern=drafting.pattern(incident),
                    is_synthetic=incident.is_synthetic,
                    synthetic_scenario_id=incident.synthetic_scenario_id,
                    created_at=at,
                )
                for incident in incidents
            ]
            # What another process captures at this moment, it waits for, and leaves alone.
            Lesson.objects.bulk_create(lessons, ignore_conflicts=True)
            saved = set(
                Lesson.objects.filter(pk__in=[lesson.pk for lesson in lessons]).values_list(
                    "pk", flat=True
                )
            )
            history.of_lessons(
                [lesson for lesson in lessons if lesson.pk in saved],
                LessonEventType.CAPTURED,
                f"Captured from an incident by {HOUSEKEEPING}.",
                by=HOUSEKEEPING,
                at=at,
            )
            for tenant_id, group in groupby(incidents, key=attrgetter("tenant_id")):
                run(_MARK, [tenant_id, max(incident.created_at for incident in group)])
        captured += len(saved)
        if len(incidents) < _STEP:
            return captured


def draft() -> int:
    """Drafts a proposal for every high or critical incident with an open failure lesson and none
    yet; how many there were.
    """
    drafted = 0
    while True:
        at = clock.now()
        with transaction.atomic():
            lessons = _undrafted(at)
            severe = [
                lesson
                for lesson in lessons
                if lesson.severity is None or lesson.severity < _incident(lesson).severity
            ]
            _escalate(severe, at=at)
            inserted = proposals.insert(
                [proposals.draft_of(lesson=lesson, at=at) for lesson in lessons],
                f"Drafted from an incident by {HOUSEKEEPING}.",
                by=HOUSEKEEPING,
                at=at,
            )
        drafted += len(inserted)
        if len(lessons) < _STEP:
            return drafted


def _undrafted(at: datetime) -> list[Lesson]:
    since = at - timedelta(days=_DRAFTED_WITHIN_DAYS)
    proposed = Proposal.objects.filter(
        Q(incident_id=OuterRef("incident_id")) | Q(lesson_id=OuterRef("pk"))
    )
    return list(
        Lesson.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .select_related("incident")
        .filter(
            ~Exists(proposed),
            lesson_type=LessonType.FAILURE,
            status__in=[LessonStatus.PENDING, LessonStatus.DEFERRED],
            created_at__gte=since,
            incident__severity__gte=Severity.HIGH,
        )
        .order_by("created_at", "pk")[:_STEP]
    )


def _escalate(lessons: list[Lesson], *, at: datetime) -> None:
    """Lets captured lessons follow their incidents' severity; a person's own word stands."""
    captured = Lesson.objects.filter(
        Exists(
            LessonEvent.objects.filter(
                lesson_id=OuterRef("pk"),
                event_type=LessonEventType.CAPTURED,
                via=HOUSEKEEPING.via,
            )
        ),
        pk__in=[lesson.pk for lesson in lessons],
    )
    ids = set(captured.values_list("pk", flat=True))
    for severity in (Severity.HIGH, Severity.CRITICAL):
        risen = [
            lesson
            for lesson in lessons
            if lesson.pk in ids and _incident(lesson).severity == severity
        ]
        Lesson.objects.filter(pk__in=[lesson.pk for lesson in risen]).update(severity=severity)
        history.of_lessons(
            risen,
            LessonEventType.ESCALATED,
            f"Its incident became {severity.label}.",
            by=HOUSEKEEPING,
            at=at,
            data={"severity": severity.label},
        )


def _incident(lesson: Lesson) -> Incident:
    assert lesson.incident is not None  # noqa: S101 - _undrafted goes by the incident
    return lesson.incident
