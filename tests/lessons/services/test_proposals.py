from __future__ import annotations

from typing import Any

import pytest

from config.tenancy.models import Tenant
from incidents.enums import RuleMode
from incidents.models import Incident, PolicyRule, RuleRevision
from incidents.models.rule import MATCHED
from lessons.enums import LessonStatus, LessonType, ProposalStatus
from lessons.errors import NothingToMatch
from lessons.models import Lesson, Proposal
from lessons.services import capture, drafting, lifecycle, proposals, reporting
from lessons.services.drafting import Matcher
from tests.factories import lessons as factory
from tests.factories.lessons import ADA

pytestmark = pytest.mark.django_db


def proposed(proposal: Proposal) -> dict[str, Any]:
    return {name: getattr(proposal, name) for name in ("kind", "name", "rationale", *MATCHED)}


@pytest.mark.parametrize(
    ("facts", "matcher"),
    [
        (
            {"agent_id": "a", "group_key": "g"},
            Matcher("failure_spike", "EXECUTION_TIMEOUT", "execution_failure"),
        ),
        (
            {"agent_id": "a", "group_key": "a"},
            Matcher("failure_spike", "EXECUTION_TIMEOUT", "execution_failure", "a"),
        ),
        (
            {"agent_id": "a", "error_code": None, "category": None},
            Matcher("failure_spike", agent_id="a"),
        ),
        (
            {"agent_id": "a", "error_code": None},
            Matcher("failure_spike", category="execution_failure"),
        ),
        ({"agent_id": None, "error_code": None, "category": None}, Matcher("failure_spike")),
    ],
)
def test_matcher_of_incident(tenant: Tenant, facts: dict[str, Any], matcher: Matcher) -> None:
    assert drafting.matcher_of_incident(factory.incident(tenant, **facts)) == matcher


@pytest.mark.parametrize(
    ("lesson_type", "pattern", "matcher"),
    [
        ("failure", {"error_code": "X", "category": "c"}, Matcher(None, "X", "c")),
        ("failure", {"trigger_type": "Not A Slug", "agent_id": 5, "other": "x"}, Matcher()),
        ("failure", None, Matcher()),
        ("failure", {"metric": "tokens"}, Matcher()),
        ("near_threshold", {"metric": "rate_limit"}, Matcher("rate_limit")),
        ("near_threshold", {"metric": "Tokens per minute"}, Matcher()),
        ("near_threshold", {"metric": "m", "trigger_type": "t"}, Matcher("t")),
    ],
)
def test_matcher_of_lesson_without_an_incident(
    lesson_type: str, pattern: dict[str, Any] | None, matcher: Matcher
) -> None:
    lesson = Lesson(lesson_type=lesson_type, detected_pattern=pattern)
    assert drafting.matcher_of_lesson(lesson) == matcher


def test_same_rule_from_an_incident_and_from_its_lesson(tenant: Tenant) -> None:
    incident = factory.incident(tenant)
    capture.capture()
    capture.draft()
    (drafted,) = Proposal.objects.all()
    proposals.reject(proposal=drafted, by=ADA, reason="let a person ask")
    converted = lifecycle.convert(lesson=Lesson.objects.get(), by=ADA)
    assert converted.proposal is not None
    assert converted.proposal.pk != drafted.pk
    assert proposed(converted.proposal) == proposed(drafted)
    assert converted.proposal.incident_id == drafted.incident_id == incident.pk


def test_convert_takes_the_standing_draft_of_its_incident(tenant: Tenant) -> None:
    incident = factory.incident(tenant)
    capture.capture()
    capture.draft()
    draft = Proposal.objects.get()
    success = factory.lesson(
        tenant, incident_id=incident.pk, lesson_type=LessonType.CRITICAL_SUCCESS
    )
    for lesson in (Lesson.objects.get(lesson_type="failure"), success):
        assert lifecycle.convert(lesson=lesson, by=ADA).proposal_id == draft.pk
    assert Proposal.objects.count() == 1
    linked = draft.events.filter(event_type="linked")
    assert [event.actor for event in linked] == ["Ada", "Ada"]


def test_convert_takes_what_was_approved(tenant: Tenant) -> None:
    factory.incident(tenant)
    capture.capture()
    capture.draft()
    approved = proposals.approve(proposal=Proposal.objects.get(), by=ADA)
    assert lifecycle.convert(lesson=Lesson.objects.get(), by=ADA).proposal_id == approved.pk


@pytest.mark.parametrize("mode", [None, RuleMode.SHADOW, RuleMode.ACTIVE])
def test_approve_makes_the_rule(tenant: Tenant, mode: RuleMode | None) -> None:
    incident = factory.incident(tenant)
    lesson = factory.lesson(tenant, LessonStatus.CONVERTED, incident_id=incident.pk)
    assert lesson.proposal is not None
    chosen = {"mode": mode} if mode else {}
    approved = proposals.approve(proposal=lesson.proposal, by=ADA, **chosen)
    rule = PolicyRule.objects.get(pk=approved.rule_id)
    assert rule.mode == (mode or RuleMode.SHADOW)
    assert rule.is_active
    assert rule.policy_type == approved.kind == "timeout_policy"
    assert {name: getattr(rule, name) for name in MATCHED} == {
        name: getattr(approved, name) for name in MATCHED
    }
    assert rule.source_proposal_id == approved.pk
    assert rule.source_lesson_id == lesson.pk
    assert rule.source_incident_id == incident.pk
    revision = RuleRevision.objects.get(rule=rule)
    assert (revision.actor, revision.via) == ("Ada", "test key")
    event = approved.events.get(event_type="approved")
    assert (event.actor, event.data["rule_id"]) == ("Ada", str(rule.pk))


def test_approve_of_what_matches_nothing(tenant: Tenant) -> None:
    proposal = factory.proposal(tenant, detected_pattern=None)
    with pytest.raises(NothingToMatch):
        proposals.approve(proposal=proposal, by=ADA)
    with pytest.raises(NothingToMatch):
        proposals.backtest(proposal=proposal)
    assert not PolicyRule.objects.exists()
    amended = proposals.amend(
        proposal=proposal, by=ADA, name="Timeouts", matcher=Matcher(error_code="T")
    )
    event = amended.events.get(event_type="amended")
    assert (event.data["from"]["error_code"], event.data["to"]["error_code"]) == (None, "T")
    approved = proposals.approve(proposal=amended, by=ADA)
    rule = PolicyRule.objects.get(pk=approved.rule_id)
    assert (rule.name, rule.error_code) == ("Timeouts", "T")


def test_amend_to_what_it_is(tenant: Tenant) -> None:
    proposal = factory.proposal(tenant)
    matcher = proposals.matcher_of(proposal)
    proposals.amend(proposal=proposal, by=ADA, name=proposal.name, matcher=matcher)
    assert not proposal.events.filter(event_type="amended").exists()


def test_reject_keeps_the_reason(tenant: Tenant) -> None:
    rejected = factory.proposal(tenant, ProposalStatus.REJECTED)
    stored = Proposal.objects.get(pk=rejected.pk)
    assert stored.rejected_reason == "too broad"
    assert not PolicyRule.objects.exists()


def test_convert_of_a_near_threshold_lesson(tenant: Tenant) -> None:
    recorded = reporting.note_near_threshold(
        tenant=tenant,
        by=ADA,
        run_id="r",
        metric="rate_limit",
        current_value=95,
        threshold_value=100,
    )
    assert recorded.lesson is not None
    proposal = lifecycle.convert(lesson=recorded.lesson, by=ADA).proposal
    assert proposal is not None
    assert (proposal.trigger_type, proposal.incident_id) == ("rate_limit", None)
    assert "reached 95 of 100" in proposal.rationale


def test_backtest_of_a_proposal(tenant: Tenant) -> None:
    incident = factory.incident(tenant, calls=4)
    lesson = factory.lesson(tenant, LessonStatus.CONVERTED, incident_id=incident.pk)
    assert lesson.proposal is not None
    found = proposals.backtest(proposal=lesson.proposal)
    assert (found.alerts_prevented, found.incidents_prevented, found.days) == (4, 1, 90)
    assert found.largest == list(Incident.objects.all())
