from __future__ import annotations

import math
from datetime import timedelta

import pytest

from config import clock
from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.errors import IncidentNotFound
from incidents.models import Run
from lessons.enums import Band, LessonType, NotRecorded
from lessons.models import Lesson
from lessons.services import reporting
from tests.factories import lessons as factory
from tests.factories.lessons import ADA
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

NOON = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)


def near(
    tenant: Tenant, current: float, threshold: float = 100, *, metric: str = "tokens"
) -> reporting.Recorded:
    return reporting.note_near_threshold(
        tenant=tenant,
        by=ADA,
        run_id="run-1",
        metric=metric,
        current_value=current,
        threshold_value=threshold,
    )


@pytest.mark.parametrize(
    ("current", "threshold", "band"),
    [
        (84.99, 100, None),
        (85, 100, "85-90"),
        (0.85, 1, "85-90"),  # in binary a little less than 85 %
        (89.999, 100, "85-90"),
        (90, 100, "90-95"),
        (0.9, 1, "90-95"),
        (94.9, 100, "90-95"),
        (95, 100, "95-100"),
        (100, 100, "95-100"),
        (250, 100, "95-100"),
        (1e308, 1e-308, "95-100"),
        (0, 100, None),
        (-90, 100, None),
        (8.5e-320, 1e-319, "85-90"),
    ],
)
def test_note_near_threshold_band(
    tenant: Tenant, current: float, threshold: float, band: str | None
) -> None:
    recorded = near(tenant, current, threshold)
    if band is None:
        assert recorded == reporting.Recorded(None, NotRecorded.BELOW_THRESHOLD)
        assert not Lesson.objects.exists()
    else:
        assert recorded.created
        assert recorded.lesson is not None
        assert recorded.lesson.detected_pattern is not None
        assert recorded.lesson.detected_pattern["band"] == band


@pytest.mark.parametrize(
    ("current", "threshold", "pointer"),
    [
        (90, 0, "/threshold_value"),
        (90, -1, "/threshold_value"),
        (90, math.inf, "/threshold_value"),
        (math.nan, 100, "/current_value"),
    ],
)
def test_note_near_threshold_of_nonsense(
    tenant: Tenant, current: float, threshold: float, pointer: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        near(tenant, current, threshold)
    assert [error.pointer for error in refusal.value.errors] == [pointer]


def test_note_near_threshold_within_a_day(tenant: Tenant) -> None:
    with clock.pretend(NOON):
        first = near(tenant, 86)
    for hours in (0, 1, 23.999):
        with clock.pretend(NOON + timedelta(hours=hours)):
            again = near(tenant, 88)
        assert (again.created, again.reason) == (False, NotRecorded.DEBOUNCED)
        assert again.lesson is not None
        assert first.lesson is not None
        assert again.lesson.pk == first.lesson.pk
    assert reporting.repeats_of(lesson=Lesson.objects.get()) == 3
    with clock.pretend(NOON + timedelta(hours=24)):
        next_day = near(tenant, 88)
    assert next_day.created
    assert next_day.lesson is not None
    assert reporting.repeats_of(lesson=next_day.lesson) == 0
    with clock.pretend(NOON + timedelta(hours=47)):
        assert not near(tenant, 88).created
    assert Lesson.objects.count() == 2


def test_note_near_threshold_apart_by_band_metric_and_tenant(tenant: Tenant) -> None:
    other = TenantFactory.create()
    with clock.pretend(NOON):
        made = [
            near(tenant, 86),
            near(tenant, 91),
            near(tenant, 99),
            near(tenant, 86, metric="cost"),
            near(other, 86),
        ]
        assert all(recorded.created for recorded in made)
        assert not near(tenant, 91).created
    severities = [Severity(made[i].lesson.severity).label for i in (0, 1, 2)]  # type: ignore[union-attr]
    assert severities == ["low", "medium", "high"]


def test_band_of_reads_the_bands_from_below() -> None:
    assert list(Band) == sorted(Band)


def test_note_creates_a_run_that_nobody_announced(tenant: Tenant) -> None:
    near(tenant, 10)
    assert Run.objects.get().run_id == "run-1"


def test_note_critical_success_once_per_run(tenant: Tenant) -> None:
    def note(run_id: str, success_type: str) -> reporting.Recorded:
        return reporting.note_critical_success(
            tenant=tenant, by=ADA, run_id=run_id, success_type=success_type, metrics={"steps": 3}
        )

    first = note("run-1", "fast")
    assert first.created
    assert first.lesson is not None
    assert first.lesson.lesson_type == "critical_success"
    assert first.lesson.detected_pattern == {"success_type": "fast", "metrics": {"steps": 3}}
    again = note("run-1", "cheap")
    assert (again.created, again.reason) == (False, NotRecorded.ALREADY_RECORDED)
    assert note("run-2", "fast").created
    assert Lesson.objects.count() == 2


def test_record_once_per_incident_and_type(tenant: Tenant) -> None:
    incident = factory.incident_by_hand(tenant)
    first = factory.lesson(tenant, incident_id=incident.pk)
    assert factory.lesson(tenant, incident_id=incident.pk, title="Other").pk == first.pk
    success = factory.lesson(
        tenant, incident_id=incident.pk, lesson_type=LessonType.CRITICAL_SUCCESS
    )
    assert success.pk != first.pk
    assert Lesson.objects.get(pk=first.pk).title == "The step failed"


def test_record_without_a_source_as_often_as_it_is_said(tenant: Tenant) -> None:
    factory.lesson(tenant, run_id=None)
    factory.lesson(tenant, run_id=None)
    assert Lesson.objects.filter(source=None).count() == 2


def test_record_about_another_tenants_incident(tenant: Tenant) -> None:
    theirs = factory.incident_by_hand(TenantFactory.create())
    with pytest.raises(IncidentNotFound):
        factory.lesson(tenant, incident_id=theirs.pk)
    assert not Lesson.objects.exists()


def test_record_follows_what_is_synthetic(tenant: Tenant) -> None:
    drill = factory.incident(tenant, is_synthetic=True, synthetic_scenario_id="drill-1")
    lesson = factory.lesson(tenant, incident_id=drill.pk)
    assert (lesson.is_synthetic, lesson.synthetic_scenario_id) == (True, "drill-1")
    Run.objects.create(tenant=tenant, run_id="run-1", is_synthetic=True)
    recorded = near(tenant, 99)
    assert recorded.lesson is not None
    assert recorded.lesson.is_synthetic
