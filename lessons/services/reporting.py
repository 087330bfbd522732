"""Replaces the lessons driver's inserts: lessons that callers report.

A lesson of a type exists once for what it was learned from; a near-threshold lesson once a day
for a tenant, a metric and a band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from config import clock
from config.actors import Actor
from config.database.statements import run
from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.errors import IncidentNotFound
from incidents.models import Incident, Run
from incidents.services.aggregation import linking
from lessons.enums import Band, LessonEventType, LessonType, NotRecorded
from lessons.models import Lesson, NearThreshold
from lessons.services import history

DEBOUNCE: Final = timedelta(hours=24)

_SEVERITY_OF_BAND: Final = {
    Band.FROM_85: Severity.LOW,
    Band.FROM_90: Severity.MEDIUM,
    Band.FROM_95: Severity.HIGH,
}

# Decides and counts in one statement: whoever comes second waits for the first one's row.
_CLAIM: Final = """
INSERT INTO lessons_nearthreshold AS n (tenant_id, metric, band, lesson_id, noted_at, repeats)
VALUES (%s, %s, %s, %s, %s, 0)
ON CONFLICT (tenant_id, metric, band) DO UPDATE SET (lesson_id, noted_at, repeats) = (
    SELECT
        CASE WHEN over THEN excluded.lesson_id ELSE n.lesson_id END,
        CASE WHEN over THEN excluded.noted_at ELSE n.noted_at END,
        CASE WHEN over THEN 0 ELSE n.repeats + 1 END
    FROM (SELECT n.noted_at <= excluded.noted_at - %s::interval AS over) o
)
RETURNING n.lesson_id
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a report: a new lesson, or the reason why there is none.

    Without one, ``lesson`` is the earlier lesson that the report repeats, if it repeats any.
    """

    lesson: Lesson | None
    reason: NotRecorded | None = None

    @property
    def created(self) -> bool:
        return self.reason is None


def record(
    *,
    tenant: Tenant,
    by: Actor,
    lesson_type: LessonType,
    title: str,
    description: str,
    severity: Severity | None = None,
    incident_id: UUID | None = None,
    run_id: str | None = None,
    proposed_action: str | None = None,
    detected_pattern: dict[str, Any] | None = None,
) -> Recorded:
    """Records a lesson in the caller's own words.

    A second failure or critical success lesson of the same incident (or, without one, of the
    same run) changes nothing. IncidentNotFound when the tenant has no such incident.
    """
    at = clock.now()
    incident = None
    if incident_id is not None:
        incident = Incident.objects.for_tenant(tenant).filter(pk=incident_id).first()
        if incident is None:
            raise IncidentNotFound
    source = None
    if lesson_type != LessonType.NEAR_THRESHOLD:
        source = source_of(incident_id=incident_id, run_id=run_id)
    lesson = Lesson(
        tenant=tenant,
        lesson_type=lesson_type,
        source=source,
        title=title,
        description=description,
        severity=severity,
        incident=incident,
        run_id=run_id,
        proposed_action=proposed_action,
        detected_pattern=detected_pattern,
        created_at=at,
    )
    with transaction.atomic():
        recorded = _insert(lesson, by=by, at=at)
        _announce(tenant, run_id, at=at)
    return recorded


def note_critical_success(
    *, tenant: Tenant, by: Actor, run_id: str, success_type: str, metrics: dict[str, Any]
) -> Recorded:
    """Records that a run went remarkably well; the second report of a run changes nothing."""
    at = clock.now()
    lesson = Lesson(
        tenant=tenant,
        lesson_type=LessonType.CRITICAL_SUCCESS,
        source=source_of(run_id=run_id),
        title=f"Critical success: {success_type}",
        description=f"Run {run_id} was a success of the kind {success_type}.",
        run_id=run_id,
        proposed_action="Compare the run with others of its kind, and keep what made it succeed.",
        detected_pattern={"success_type": success_type, "metrics": metrics},
        created_at=at,
    )
    with transaction.atomic():
        recorded = _insert(lesson, by=by, at=at)
        _announce(tenant, run_id, at=at)
    return recorded


def note_near_threshold(
    *,
    tenant: Tenant,
    by: Actor,
    run_id: str,
    metric: str,
    current_value: float,
    threshold_value: float,
) -> Recorded:
    """Records that a metric of a run came to 85 % of its threshold or more.

    One lesson for a tenant, metric and band in 24 hours; the others are counted only. Invalid
    when the values are not finite or the threshold is not above 0.
    """
    at = clock.now()
    utilisation = _percentage(current_value, threshold_value)
    band = band_of(utilisation)
    if band is None:
        _announce(tenant, run_id, at=at)
        return Recorded(None, NotRecorded.BELOW_THRESHOLD)
    percent = round(float(utilisation), 2)
    lesson = Lesson(
        tenant=tenant,
        lesson_type=LessonType.NEAR_THRESHOLD,
        title=f"Near threshold: {metric} in the band {band.label} %",
        description=(
            f"Run {run_id} reached {current_value:g} of {threshold_value:g} in {metric}"
            f"{f', {percent:g} %' if math.isfinite(percent) else ''}."
        ),
        severity=_SEVERITY_OF_BAND[band],
        run_id=run_id,
        proposed_action=f"Raise the threshold of {metric}, or use less of it before it is passed.",
        detected_pattern={
            "metric": metric,
            "band": band.label,
            "current_value": current_value,
            "threshold_value": threshold_value,
            "utilization_percent": percent if math.isfinite(percent) else None,
        },
        created_at=at,
    )
    with transaction.atomic():
        ((holder,),) = run(_CLAIM, [tenant.pk, metric, int(band), lesson.pk, at, DEBOUNCE])
        if holder != lesson.pk:
            earlier = Lesson.objects.for_tenant(tenant).filter(pk=holder).first()
            recorded = Recorded(earlier, NotRecorded.DEBOUNCED)
        else:
            recorded = _insert(lesson, by=by, at=at)
        _announce(tenant, run_id, at=at)
    return recorded


def repeats_of(*, lesson: Lesson) -> int | None:
    """How many near-threshold reports this lesson stood for while it held its day.

    None for other lessons, and once a later lesson of the same band took its place.
    """
    if lesson.lesson_type != LessonType.NEAR_THRESHOLD:
        return None
    metric = (lesson.detected_pattern or {}).get("metric")
    if not isinstance(metric, str):
        return None
    claim = (
        NearThreshold.objects.for_tenant(lesson.tenant_id)
        .filter(metric=metric, lesson_id=lesson.pk)
        .first()
    )
    return claim.repeats if claim is not None else None


def band_of(utilisation: Decimal) -> Band | None:
    """The band that a percentage lies in; None below the first."""
    return max((band for band in Band if utilisation >= band), default=None)


def source_of(*, incident_id: UUID | None = None, run_id: str | None = None) -> str | None:
    """What a lesson was learned from, as its identity spells it."""
    if incident_id is not None:
        return f"incident:{incident_id}"
    return f"run:{run_id}" if run_id is not None else None


def _percentage(current: float, threshold: float) -> Decimal:
    for pointer, value in (("/current_value", current), ("/threshold_value", threshold)):
        if not math.isfinite(value):
            raise Invalid.field(pointer, "must be a finite number")
    if threshold <= 0:
        raise Invalid.field("/threshold_value", "must be greater than 0")
    # As the caller wrote them: in binary, 0.85 of 1 would lie below 85 %.
    return Decimal(repr(current)) * 100 / Decimal(repr(threshold))


def _insert(lesson: Lesson, *, by: Actor, at: datetime) -> Recorded:
    """Saves a lesson with its history, unless there is one of its type and source already."""
    run = (
        Run.objects.for_tenant(lesson.tenant_id).filter(run_id=lesson.run_id).first()
        if lesson.run_id is not None
        else None
    )
    for origin in (lesson.incident, run):
        if origin is not None and origin.is_synthetic:
            lesson.is_synthetic = True
            lesson.synthetic_scenario_id = origin.synthetic_scenario_id
            break
    Lesson.objects.bulk_create([lesson], ignore_conflicts=True)
    if lesson.source is not None:
        identity = {"lesson_type": lesson.lesson_type, "source": lesson.source}
        found = Lesson.objects.for_tenant(lesson.tenant_id).get(**identity)
        if found.pk != lesson.pk:
            return Recorded(found, NotRecorded.ALREADY_RECORDED)
    history.of_lessons([lesson], LessonEventType.CAPTURED, f"Reported by {by}.", by=by, at=at)
    return Recorded(lesson)


def _announce(tenant: Tenant, run_id: str | None, *, at: datetime) -> None:
    """A run that nobody has announced exists from its first report on."""
    if run_id is not None:
        linking.write_runs(tenant.pk, {run_id: None}, set(), set(), at=at)
