"""The promises about lessons and proposals, with threads or processes on real transactions."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from config import clock
from config.errors import InvalidTransition
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.models import PolicyRule
from lessons.enums import LessonStatus, LessonType
from lessons.models import Lesson, LessonEvent, NearThreshold, Proposal
from lessons.services import capture, lifecycle, proposals, reporting
from tests.concurrency.processes import run_all
from tests.factories import lessons as factory
from tests.factories.lessons import ADA

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


@pytest.fixture
def tenant() -> Tenant:
    return Tenant.objects.create(id="busy")


def at_once(work: Callable[[int], Any], *, threads: int = THREADS) -> list[Any]:
    """What each thread's call gave, its error where it raised one; all begin together."""
    barrier = threading.Barrier(threads)
    results: list[Any] = [None] * threads

    def run(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error
        finally:
            connection.close()

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    return results


def test_near_threshold_of_two_workers_is_one_lesson(tenant: Tenant) -> None:
    start = clock.now()

    def note(day: int) -> Callable[[int], bool]:
        def work(number: int) -> bool:
            with clock.pretend(start + timedelta(days=day)), scope.tenant(tenant.pk):
                return reporting.note_near_threshold(
                    tenant=tenant,
                    by=ADA,
                    run_id=f"run-{number % 2}",
                    metric="tokens",
                    current_value=85 + number % 2,
                    threshold_value=100,
                ).created

        return work

    for day in range(3):
        created = at_once(note(day))
        assert Counter(created) == {True: 1, False: THREADS - 1}
        assert NearThreshold.objects.get().repeats == THREADS - 1
    assert Lesson.objects.count() == LessonEvent.objects.count() == 3


def test_near_threshold_is_free_again_when_the_first_one_fails(tenant: Tenant) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def note() -> bool:
        return reporting.note_near_threshold(
            tenant=tenant,
            by=ADA,
            run_id="run",
            metric="tokens",
            current_value=86,
            threshold_value=100,
        ).created

    def work(number: int) -> bool:
        if number == 0:
            with scope.tenant(tenant.pk):
                note()
                inside.set()
                go_on.wait(10)
                raise RuntimeError("lost")
        inside.wait(10)
        threading.Timer(0.2, go_on.set).start()
        with scope.tenant(tenant.pk):
            return note()

    failed, created = at_once(work, threads=2)
    assert isinstance(failed, RuntimeError)
    assert created is True
    assert Lesson.objects.count() == 1


def test_record_of_the_same_source_is_one_lesson(tenant: Tenant) -> None:
    def work(number: int) -> bool:
        with scope.tenant(tenant.pk):
            return reporting.record(
                tenant=tenant,
                by=ADA,
                lesson_type=LessonType.FAILURE,
                title=f"As {number} saw it",
                description="It failed.",
                run_id="run-1",
            ).created

    assert Counter(at_once(work)) == {True: 1, False: THREADS - 1}
    assert Lesson.objects.count() == LessonEvent.objects.count() == 1


def capture_all() -> tuple[int, int]:
    return capture.capture(), capture.draft()


def test_capture_by_several_processes_is_one_lesson_and_draft_each(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small steps, so that the processes are between each other's.
    monkeypatch.setattr(capture, "_STEP", 7)
    monkeypatch.setattr(capture, "_NEW", capture._NEW.replace("LIMIT 500", "LIMIT 7"))
    others = [Tenant.objects.create(id=f"busy-{number}") for number in range(2)]
    for owner in (tenant, *others):
        for number in range(10):
            severity = Severity.HIGH if number % 2 else Severity.LOW
            factory.incident_by_hand(owner, severity=severity)

    # The processes are forks: they have the small steps too.
    done = run_all(capture_all, [{}] * 4)
    assert sum(captured for captured, _ in done) == 30
    # What one was still working on, another leaves alone; so there may be more to do.
    capture.draft()
    assert Lesson.objects.count() == LessonEvent.objects.count() == 30
    assert Lesson.objects.values("incident").distinct().count() == 30
    assert Proposal.objects.count() == Proposal.objects.values("incident").distinct().count() == 15


def test_convert_by_several_people_is_one_proposal(tenant: Tenant) -> None:
    lesson = factory.lesson(tenant)

    def work(_: int) -> str:
        with scope.tenant(tenant.pk):
            return lifecycle.convert(lesson=lesson, by=ADA).status

    done = at_once(work)
    assert done.count("converted_to_draft") == 1
    assert sum(isinstance(result, InvalidTransition) for result in done) == THREADS - 1
    assert Proposal.objects.count() == 1


def test_convert_of_two_lessons_of_an_incident_is_one_proposal(tenant: Tenant) -> None:
    incident = factory.incident_by_hand(tenant)
    lessons = [
        factory.lesson(tenant, incident_id=incident.pk, lesson_type=type_)
        for type_ in (LessonType.FAILURE, LessonType.CRITICAL_SUCCESS)
    ]

    def work(number: int) -> Any:
        with scope.tenant(tenant.pk):
            return lifecycle.convert(lesson=lessons[number], by=ADA).proposal_id

    first, second = at_once(work, threads=2)
    assert first == second == Proposal.objects.get().pk


def test_approve_and_reject_at_once_is_one_decision(tenant: Tenant) -> None:
    proposal = factory.proposal(tenant)

    def work(number: int) -> str:
        with scope.tenant(tenant.pk):
            if number % 2:
                return proposals.reject(proposal=proposal, by=ADA, reason="no").status
            return proposals.approve(proposal=proposal, by=ADA).status

    done = at_once(work)
    (decision,) = [result for result in done if isinstance(result, str)]
    assert sum(isinstance(result, InvalidTransition) for result in done) == THREADS - 1
    assert PolicyRule.objects.count() == (decision == "approved")
    assert Proposal.objects.get().status == decision


def test_reactivate_expired_by_several_processes_counts_each_once(tenant: Tenant) -> None:
    for _ in range(20):
        factory.lesson(tenant, LessonStatus.DEFERRED)
    later = clock.now() + timedelta(days=2)

    def work(_: int) -> int:
        with clock.pretend(later):
            return lifecycle.reactivate_expired()

    assert sum(at_once(work)) == 20
    assert LessonEvent.objects.filter(event_type="reactivated").count() == 20
