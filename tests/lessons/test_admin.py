"""Every act from every state, in the admin, by people who may and people who may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from config import clock
from config.tenancy.models import Tenant
from incidents.models import PolicyRule
from lessons.enums import LessonStatus, ProposalStatus
from lessons.models import Lesson, Proposal
from lessons.services import transitions
from tests.factories import lessons as factory
from tests.factories.people import person
from tests.factories.tenancy import TenantFactory
from tests.lessons.services.test_transitions import LESSON_ARROWS, LESSON_CASES, PROPOSAL_ARROWS

pytestmark = pytest.mark.django_db

FORMS: dict[str, dict[str, str]] = {
    "defer": {"until": (clock.now() + timedelta(days=2)).date().isoformat()},
    "dismiss": {"reason": "known"},
    "approve": {"mode": "shadow"},
    "reject": {"reason": "too broad"},
    "amend": {"name": "Another name", "error_code": "OTHER"},
}
PROPOSAL_CASES = [
    (status, act) for status in ProposalStatus.values for act in transitions.OF_PROPOSALS
]
ALLOWED = {**PROPOSAL_ARROWS, ("draft", "amend"): "draft"}


def act(client: Client, subject: Lesson | Proposal, verb: str, **fields: str) -> Any:
    screen = f"admin:lessons_{subject._meta.model_name}_act"
    data = {"confirm": "1", **(fields or FORMS.get(verb, {}))}
    return client.post(reverse(screen, args=[subject.pk, verb]), data)


def page(client: Client, subject: Lesson | Proposal) -> Any:
    screen = f"admin:lessons_{subject._meta.model_name}_change"
    return client.get(reverse(screen, args=[subject.pk]))


def offered(client: Client, subject: Lesson | Proposal) -> set[str]:
    return {shown["deed"].name for shown in page(client, subject).context["deeds"]}


def said(answer: Any) -> str:
    (message,) = get_messages(answer.wsgi_request)
    return str(message)


@pytest.fixture
def administrator(tenant: Tenant, client: Client) -> Client:
    """A browser of an administrator, Ada, who sees ``tenant`` alone."""
    client.force_login(person("administrator", tenant, name="ada"))
    return client


@pytest.mark.parametrize(("status", "name"), LESSON_CASES)
def test_lesson_act_from_every_state(
    administrator: Client, tenant: Tenant, status: str, name: str
) -> None:
    lesson = factory.lesson(tenant, LessonStatus(status))
    assert offered(administrator, lesson) == {
        arrow for source, arrow in LESSON_ARROWS if source == status
    }
    answer = act(administrator, lesson, name)
    assert answer.status_code == 302
    stored = Lesson.objects.get(pk=lesson.pk)
    if (status, name) in LESSON_ARROWS:
        assert stored.status == LESSON_ARROWS[status, name]
        latest = stored.events.order_by("-created_at")[0]
        assert (latest.actor, latest.via) == ("ada", "admin")
    else:
        assert stored.status == status
        assert status in said(answer)
        assert transitions.OF_LESSONS[name].target in said(answer)


@pytest.mark.parametrize(("status", "name"), PROPOSAL_CASES)
def test_proposal_act_from_every_state(
    administrator: Client, tenant: Tenant, status: str, name: str
) -> None:
    proposal = factory.proposal(tenant, ProposalStatus(status))
    assert offered(administrator, proposal) == {
        arrow for source, arrow in ALLOWED if source == status
    }
    answer = act(administrator, proposal, name)
    assert answer.status_code == 302
    stored = Proposal.objects.get(pk=proposal.pk)
    if (status, name) in ALLOWED:
        assert stored.status == ALLOWED[status, name]
        latest = stored.events.order_by("-created_at")[0]
        assert (latest.actor, latest.via) == ("ada", "admin")
    else:
        assert stored.status == status
        assert status in said(answer)
        assert transitions.OF_PROPOSALS[name].target in said(answer)


def test_approve_makes_the_rule_in_the_chosen_mode(administrator: Client, tenant: Tenant) -> None:
    proposal = factory.proposal(tenant)
    act(administrator, proposal, "approve", mode="active")
    rule = PolicyRule.objects.get(source_proposal_id=proposal.pk)
    assert rule.mode == "active"
    assert Proposal.objects.get().decided_by == "ada via admin"


def test_backtest_is_shown_before_approving(administrator: Client, tenant: Tenant) -> None:
    incident = factory.incident(tenant, calls=3)
    lesson = factory.lesson(tenant, LessonStatus.CONVERTED, incident_id=incident.pk)
    assert lesson.proposal is not None
    shown = page(administrator, lesson.proposal)
    assert shown.context["backtested"].alerts_prevented == 3
    assert incident.title in shown.content.decode()
    form = administrator.get(
        reverse("admin:lessons_proposal_act", args=[lesson.proposal.pk, "approve"])
    )
    content = form.content.decode()
    assert 0 < content.index(incident.title) < content.index('type="submit">Approve')


def test_amend_makes_a_draft_that_can_be_approved(administrator: Client, tenant: Tenant) -> None:
    proposal = factory.proposal(tenant, detected_pattern=None)
    assert "would match nothing" in page(administrator, proposal).context["not_backtested"]
    assert "would match nothing" in said(act(administrator, proposal, "approve"))
    form = administrator.get(reverse("admin:lessons_proposal_act", args=[proposal.pk, "amend"]))
    assert form.context["form"].initial["name"] == proposal.name
    refused = act(administrator, proposal, "amend", name="n", trigger_type="Not A Slug")
    assert refused.status_code == 400
    act(administrator, proposal, "amend", name="Timeouts", trigger_type="timeout", agent_id="a/b")
    stored = Proposal.objects.get()
    assert (stored.name, stored.trigger_type, stored.agent_id) == ("Timeouts", "timeout", "a/b")
    assert (stored.error_code, stored.category) == (None, None)
    act(administrator, proposal, "approve")
    assert PolicyRule.objects.get().trigger_type == "timeout"


def test_defer_until_today_says_why_not(administrator: Client, tenant: Tenant) -> None:
    lesson = factory.lesson(tenant)
    answer = act(administrator, lesson, "defer", until=clock.now().date().isoformat())
    assert "in the future" in said(answer)
    assert Lesson.objects.get().status == "pending"


def test_acts_need_their_permission(client: Client, tenant: Tenant) -> None:
    lesson, proposal = factory.lesson(tenant), factory.proposal(tenant)
    client.force_login(person("viewer", tenant))
    for name in transitions.OF_LESSONS:
        assert act(client, lesson, name).status_code == 403
    for name in transitions.OF_PROPOSALS:
        assert act(client, proposal, name).status_code == 403
    assert offered(client, lesson) == offered(client, proposal) == set()
    client.force_login(person("responder", tenant))
    for name in transitions.OF_PROPOSALS:
        assert act(client, proposal, name).status_code == 403
    assert act(client, lesson, "dismiss").status_code == 302
    assert Lesson.objects.get(pk=lesson.pk).status == "dismissed"
    assert Proposal.objects.get().status == "draft"


def test_another_tenants_rows_are_not_there(administrator: Client) -> None:
    other = TenantFactory.create()
    lesson, proposal = factory.lesson(other), factory.proposal(other)
    for subject, name in ((lesson, "dismiss"), (proposal, "reject")):
        assert page(administrator, subject).status_code == 404
        assert act(administrator, subject, name).status_code == 404
        screen = f"admin:lessons_{subject._meta.model_name}_changelist"
        assert str(subject.pk) not in administrator.get(reverse(screen)).content.decode()
    assert Lesson.objects.get(pk=lesson.pk).status == "pending"
    assert Proposal.objects.get().status == "draft"


def test_nothing_is_edited_or_deleted(client: Client, tenant: Tenant) -> None:
    client.force_login(person(None))
    for subject in (factory.lesson(tenant), factory.proposal(tenant)):
        screen = f"admin:lessons_{subject._meta.model_name}"
        assert client.get(reverse(f"{screen}_add")).status_code == 403
        delete = reverse(f"{screen}_delete", args=[subject.pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403
