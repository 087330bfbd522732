from __future__ import annotations

from datetime import timedelta

import pytest

from config import clock, housekeeping
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.models import Incident
from incidents.services import lifecycle as incident_lifecycle
from lessons.enums import LessonStatus
from lessons.models import CaptureMark, Lesson, LessonEvent, Proposal
from lessons.services import capture, lifecycle, proposals
from tests.factories import lessons as factory
from tests.factories.lessons import ADA
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


def test_capture_of_every_new_incident_once(tenant: Tenant) -> None:
    other = TenantFactory.create()
    incidents = {factory.incident(tenant).pk, factory.incident_by_hand(tenant).pk}
    incidents.add(factory.incident(other).pk)
    assert capture.capture() == 3
    assert capture.capture() == 0
    assert {lesson.incident_id for lesson in Lesson.objects.all()} == incidents
    assert set(Lesson.objects.values_list("lesson_type", "status")) == {("failure", "pending")}
    late = factory.incident(tenant)
    assert capture.capture() == 1
    lesson = Lesson.objects.get(incident=late)
    assert lesson.tenant_id == tenant.pk
    (event,) = LessonEvent.objects.filter(lesson=lesson)
    assert (event.event_type, event.via) == ("captured", "housekeeping")


def test_capture_says_what_happened(tenant: Tenant) -> None:
    incident = factory.incident(tenant, calls=12, model="large-2")
    capture.capture()
    lesson = Lesson.objects.get()
    for fact in (
        "failure_spike",
        "12 calls in 12 alerts",
        "18 cents",
        "EXECUTION_TIMEOUT: No answer within 60 s",
        "Category execution_failure",
        "Agent checkout-agent",
        "Model large-2",
    ):
        assert fact in lesson.description
    assert lesson.proposed_action is not None
    assert "timeout_policy would match trigger_type failure_spike" in lesson.proposed_action
    assert lesson.title == f"Failure: {incident.title}"
    assert lesson.severity == incident.severity
    assert lesson.detected_pattern is not None
    assert lesson.detected_pattern["error_code"] == "EXECUTION_TIMEOUT"


def test_capture_leaves_overflow_incidents_out(tenant: Tenant) -> None:
    tenant.incidents_per_hour = 1
    tenant.save()
    for number in range(3):
        factory.flood(tenant, group_key=f"g{number}")
    assert Incident.objects.filter(source_type="overflow").count() == 1
    assert capture.capture() == 1


def test_capture_keeps_the_flag_of_synthetic_incidents(tenant: Tenant) -> None:
    factory.incident(tenant, is_synthetic=True, synthetic_scenario_id="drill-1")
    capture.capture()
    lesson = Lesson.objects.get()
    assert (lesson.is_synthetic, lesson.synthetic_scenario_id) == (True, "drill-1")


def test_capture_of_many_in_steps(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_STEP", 2)
    monkeypatch.setattr(capture, "_NEW", capture._NEW.replace("LIMIT 500", "LIMIT 2"))
    for number in range(5):
        with clock.pretend(clock.now() - timedelta(days=9 - number)):
            factory.incident(tenant, group_key=f"g{number}")
    assert capture.capture() == 5
    assert CaptureMark.objects.get().captured_to == max(
        Incident.objects.values_list("created_at", flat=True)
    )


def test_capture_of_what_commits_a_little_late(tenant: Tenant) -> None:
    now = clock.now()
    factory.incident(tenant)
    capture.capture()
    with clock.pretend(now - timedelta(minutes=5)):
        factory.incident(tenant)
    assert capture.capture() == 1


def test_capture_finds_a_persons_own_lesson(tenant: Tenant) -> None:
    incident = factory.incident(tenant)
    mine = factory.lesson(tenant, incident_id=incident.pk)
    assert capture.capture() == 0
    assert Lesson.objects.get().pk == mine.pk


@pytest.mark.parametrize(
    ("severity", "drafts"),
    [(Severity.LOW, 0), (Severity.MEDIUM, 0), (Severity.HIGH, 1), (Severity.CRITICAL, 1)],
)
def test_draft_for_severe_incidents(tenant: Tenant, severity: Severity, drafts: int) -> None:
    incident = factory.incident_by_hand(tenant, severity=severity)
    capture.capture()
    assert capture.draft() == drafts
    assert capture.draft() == 0
    assert Proposal.objects.filter(incident=incident, status="draft").count() == drafts


@pytest.mark.parametrize(
    ("error_code", "kind"),
    [
        ("EXECUTION_TIMEOUT", "timeout_policy"),
        ("AGENT_CRASH", "crash_recovery_policy"),
        ("BUDGET_EXCEEDED", "cost_cap_policy"),
        ("RATE_LIMIT_EXCEEDED", "rate_limit_policy"),
        ("STEP_FAILURE", "retry_policy"),
        ("SKILL_ERROR", "failure_pattern_policy"),
        (None, "failure_pattern_policy"),
    ],
)
def test_draft_is_of_the_mapped_kind(tenant: Tenant, error_code: str | None, kind: str) -> None:
    factory.incident(tenant, error_code=error_code)
    capture.capture()
    assert capture.draft() == 1
    assert Proposal.objects.get().kind == kind


def test_draft_once_an_incident_has_become_severe(tenant: Tenant) -> None:
    incident = factory.incident(tenant, trigger_type="tool_error", group_key="g", calls=1)
    mine = factory.incident(tenant, trigger_type="tool_error", group_key="mine", calls=1)
    factory.lesson(tenant, incident_id=mine.pk, severity=Severity.LOW)
    capture.capture()
    assert capture.draft() == 0
    for subject in (incident, mine):
        incident_lifecycle.set_severity(
            incident=subject, by=ADA, severity=Severity.CRITICAL, reason="it spreads"
        )
    assert capture.draft() == 2
    captured = Lesson.objects.get(incident=incident)
    assert captured.severity == Severity.CRITICAL
    assert captured.events.filter(event_type="escalated").count() == 1
    # What a person said of their lesson stands.
    assert Lesson.objects.get(incident=mine).severity == Severity.LOW
    assert capture.draft() == 0


def test_draft_not_for_what_was_dismissed_or_decided(tenant: Tenant) -> None:
    for _ in range(2):
        factory.incident(tenant)
    capture.capture()
    dismissed, decided = Lesson.objects.all()
    lifecycle.dismiss(lesson=dismissed, by=ADA, reason="noise")
    assert capture.draft() == 1
    proposal = Proposal.objects.get()
    assert proposal.lesson_id == decided.pk
    proposals.reject(proposal=proposal, by=ADA, reason="too broad")
    assert capture.draft() == 0


def test_reactivate_expired_at_its_time(tenant: Tenant) -> None:
    now = clock.now()
    soon = factory.lesson(tenant)
    later = factory.lesson(tenant)
    factory.lesson(tenant, LessonStatus.DISMISSED)
    lifecycle.defer(lesson=soon, by=ADA, until=now + timedelta(hours=1))
    lifecycle.defer(lesson=later, by=ADA, until=now + timedelta(hours=2))
    assert lifecycle.reactivate_expired() == 0
    with clock.pretend(now + timedelta(hours=1)):
        assert lifecycle.reactivate_expired() == 1
        assert lifecycle.reactivate_expired() == 0
    soon.refresh_from_db()
    assert (soon.status, soon.deferred_until) == ("pending", None)
    latest = soon.events.order_by("-created_at")[0]
    assert (latest.event_type, latest.via, latest.actor) == ("reactivated", "housekeeping", None)
    assert Lesson.objects.get(pk=later.pk).status == "deferred"


def test_housekeeping_does_all_of_it(tenant: Tenant) -> None:
    factory.incident(tenant)
    done = dict(housekeeping.run())
    assert done["lessons captured"] == 1
    assert done["proposals drafted"] == 1
    assert done["deferred lessons reactivated"] == 0
