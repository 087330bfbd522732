"""Every act from every state, through the services and over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config import clock
from config.tenancy.models import Tenant
from lessons.enums import LessonStatus, ProposalStatus
from lessons.errors import LessonTransition, ProposalTransition
from lessons.models import Lesson, LessonEvent, Proposal, ProposalEvent
from lessons.services import lifecycle, proposals, transitions
from lessons.services.drafting import Matcher
from tests.config.api.conftest import ApiClient
from tests.factories import lessons as factory
from tests.factories.lessons import ADA

pytestmark = pytest.mark.django_db

# From which state each act is allowed, and where it leads: the mission's words, not the code's.
LESSON_ARROWS = {
    ("pending", "defer"): "deferred",
    ("pending", "dismiss"): "dismissed",
    ("pending", "convert"): "converted_to_draft",
    ("deferred", "reactivate"): "pending",
}
PROPOSAL_ARROWS = {("draft", "approve"): "approved", ("draft", "reject"): "rejected"}

LESSON_CASES = [(status, act) for status in LessonStatus.values for act in transitions.OF_LESSONS]
PROPOSAL_CASES = [
    (status, act) for status in ProposalStatus.values for act in ("approve", "reject")
]

LESSON_ACTS: dict[str, Callable[[Lesson], Lesson]] = {
    "defer": lambda lesson: lifecycle.defer(
        lesson=lesson, by=ADA, until=clock.now() + timedelta(hours=1)
    ),
    "dismiss": lambda lesson: lifecycle.dismiss(lesson=lesson, by=ADA, reason="known"),
    "convert": lambda lesson: lifecycle.convert(lesson=lesson, by=ADA),
    "reactivate": lambda lesson: lifecycle.reactivate(lesson=lesson, by=ADA),
}
PROPOSAL_ACTS: dict[str, Callable[[Proposal], Proposal]] = {
    "approve": lambda proposal: proposals.approve(proposal=proposal, by=ADA),
    "reject": lambda proposal: proposals.reject(proposal=proposal, by=ADA, reason="broad"),
}
BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    "defer": lambda: {"until": (clock.now() + timedelta(hours=1)).isoformat()},
    "dismiss": lambda: {"reason": "known"},
    "reject": lambda: {"reason": "broad"},
}
TARGETS = {act.name: act.target for act in transitions.OF_LESSONS.values()} | {
    act.name: act.target for act in transitions.OF_PROPOSALS.values()
}


def test_the_table_holds_these_arrows_and_no_others() -> None:
    assert {
        (act.source, act.name): act.target for act in transitions.OF_LESSONS.values()
    } == LESSON_ARROWS
    assert {
        (act.source, act.name): act.target
        for act in transitions.OF_PROPOSALS.values()
        if act is not transitions.AMEND
    } == PROPOSAL_ARROWS


@pytest.mark.parametrize(("status", "act"), LESSON_CASES)
def test_lesson_act_from_every_state(tenant: Tenant, status: str, act: str) -> None:
    lesson = factory.lesson(tenant, LessonStatus(status))
    before = Lesson.objects.filter(pk=lesson.pk).values().get()
    events = LessonEvent.objects.filter(lesson=lesson).count()
    if (status, act) in LESSON_ARROWS:
        changed = LESSON_ACTS[act](lesson)
        stored = Lesson.objects.get(pk=lesson.pk)
        assert changed.status == stored.status == LESSON_ARROWS[status, act]
        latest = LessonEvent.objects.filter(lesson=lesson).last()
        assert latest is not None
        assert (latest.actor, latest.via) == ("Ada", "test key")
        assert "Ada" in latest.description
        assert LessonEvent.objects.filter(lesson=lesson).count() == events + 1
        return
    with pytest.raises(LessonTransition) as refusal:
        LESSON_ACTS[act](lesson)
    assert status in refusal.value.detail
    assert TARGETS[act] in refusal.value.detail
    assert Lesson.objects.filter(pk=lesson.pk).values().get() == before
    assert LessonEvent.objects.filter(lesson=lesson).count() == events


@pytest.mark.parametrize(("status", "act"), LESSON_CASES)
def test_lesson_act_from_every_state_over_http(api: ApiClient, status: str, act: str) -> None:
    lesson = factory.lesson(api.tenant, LessonStatus(status))
    body = {"actor": "Grace", **BODIES.get(act, dict)()}
    answer = api.post(f"/api/v1/lessons/{lesson.pk}/{act}/", body, content_type="application/json")
    if (status, act) in LESSON_ARROWS:
        assert answer.status_code == 200, answer.content
        assert answer.json()["status"] == LESSON_ARROWS[status, act]
        assert {"actor": "Grace", "via": api.key.name}.items() <= answer.json()["history"][
            -1
        ].items()
    else:
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["code"] == "invalid_transition"
        assert status in problem["detail"]
        assert TARGETS[act] in problem["detail"]
        assert Lesson.objects.get(pk=lesson.pk).status == status


@pytest.mark.parametrize(("status", "act"), PROPOSAL_CASES)
def test_proposal_act_from_every_state(tenant: Tenant, status: str, act: str) -> None:
    proposal = factory.proposal(tenant, ProposalStatus(status))
    before = Proposal.objects.filter(pk=proposal.pk).values().get()
    if (status, act) in PROPOSAL_ARROWS:
        changed = PROPOSAL_ACTS[act](proposal)
        stored = Proposal.objects.get(pk=proposal.pk)
        assert changed.status == stored.status == PROPOSAL_ARROWS[status, act]
        assert stored.decided_by == "Ada via test key"
        assert stored.decided_at is not None
        return
    events = ProposalEvent.objects.filter(proposal=proposal).count()
    with pytest.raises(ProposalTransition) as refusal:
        PROPOSAL_ACTS[act](proposal)
    assert status in refusal.value.detail
    assert TARGETS[act] in refusal.value.detail
    assert Proposal.objects.filter(pk=proposal.pk).values().get() == before
    assert ProposalEvent.objects.filter(proposal=proposal).count() == events


@pytest.mark.parametrize(("status", "act"), PROPOSAL_CASES)
def test_proposal_act_from_every_state_over_http(api: ApiClient, status: str, act: str) -> None:
    proposal = factory.proposal(api.tenant, ProposalStatus(status))
    body = {"actor": "Grace", **BODIES.get(act, dict)()}
    answer = api.post(
        f"/api/v1/proposals/{proposal.pk}/{act}/", body, content_type="application/json"
    )
    if (status, act) in PROPOSAL_ARROWS:
        assert answer.status_code == 200, answer.content
        assert answer.json()["status"] == PROPOSAL_ARROWS[status, act]
        assert answer.json()["decided_by"] == f"Grace via {api.key.name}"
    else:
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["code"] == "invalid_transition"
        assert status in problem["detail"]
        assert TARGETS[act] in problem["detail"]


@pytest.mark.parametrize("status", ["approved", "rejected"])
def test_amend_of_what_is_decided(tenant: Tenant, status: str) -> None:
    proposal = factory.proposal(tenant, ProposalStatus(status))
    with pytest.raises(ProposalTransition, match=status):
        proposals.amend(proposal=proposal, by=ADA, name="New", matcher=Matcher(category="x"))


def test_change_is_undone_when_its_history_cannot_be_written(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = factory.lesson(tenant)
    proposal = factory.proposal(tenant)

    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("lessons.services.history.of_lessons", broken)
    monkeypatch.setattr("lessons.services.history.of_proposals", broken)
    for act in ("defer", "dismiss", "convert"):
        with pytest.raises(RuntimeError):
            LESSON_ACTS[act](lesson)
    for decide in PROPOSAL_ACTS.values():
        with pytest.raises(RuntimeError):
            decide(proposal)
    assert Lesson.objects.get(pk=lesson.pk).status == "pending"
    assert Proposal.objects.get(pk=proposal.pk).status == "draft"
    assert Proposal.objects.count() == 1
