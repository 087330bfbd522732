from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from incidents.models import PolicyRule
from lessons.enums import LessonStatus, ProposalStatus
from lessons.models import Proposal
from tests.config.api.conftest import ApiClient
from tests.factories import lessons as factory
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

PROPOSALS = "/api/v1/proposals/"


def post(api: ApiClient, path: str, body: dict[str, Any]) -> Any:
    return api.post(PROPOSALS + path, body, content_type="application/json")


def test_list_and_retrieve(api: ApiClient) -> None:
    factory.proposal(TenantFactory.create())
    draft = factory.proposal(api.tenant)
    rejected = factory.proposal(api.tenant, ProposalStatus.REJECTED)
    rows = api.get(PROPOSALS).json()["results"]
    assert [row["id"] for row in rows] == [str(rejected.pk), str(draft.pk)]
    assert (rows[0]["rejected_reason"], rows[0]["decided_by"]) == ("too broad", "Ada via test key")
    assert rows[1]["error_code"] == "STEP_FAILURE"
    assert rows[1]["kind"] == "retry_policy"
    only = api.get(f"{PROPOSALS}?status=draft").json()["results"]
    assert [row["id"] for row in only] == [str(draft.pk)]
    detail = api.get(f"{PROPOSALS}{draft.pk}/").json()
    assert {name: detail[name] for name in rows[1]} == rows[1]
    (entry,) = detail["history"]
    assert (entry["event_type"], entry["actor"]) == ("drafted", "Ada")


@pytest.mark.parametrize(("body", "mode"), [({}, "shadow"), ({"mode": "active"}, "active")])
def test_approve(api: ApiClient, body: dict[str, Any], mode: str) -> None:
    proposal = factory.proposal(api.tenant)
    answer = post(api, f"{proposal.pk}/approve/", {**body, "actor": "Grace"})
    assert answer.status_code == 200
    approved = answer.json()
    rule = PolicyRule.objects.get()
    assert (approved["status"], approved["rule_id"]) == ("approved", str(rule.pk))
    assert rule.mode == mode
    again = post(api, f"{proposal.pk}/approve/", {})
    assert again.status_code == 409
    assert PolicyRule.objects.count() == 1


def test_approve_of_what_matches_nothing(api: ApiClient) -> None:
    proposal = factory.proposal(api.tenant, detected_pattern=None)
    for action in ("approve", "backtest"):
        answer = post(api, f"{proposal.pk}/{action}/", {})
        assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_match")
    assert Proposal.objects.get().status == "draft"


@pytest.mark.parametrize(
    ("action", "body", "pointer"),
    [
        ("approve", {"mode": "on"}, "/mode"),
        ("approve", {"mode": None}, "/mode"),
        ("approve", {"name": "x"}, "/name"),
        ("reject", {}, "/reason"),
        ("reject", {"reason": ""}, "/reason"),
        ("backtest", {"days": 0}, "/days"),
        ("backtest", {"days": 366}, "/days"),
        ("backtest", {"days": 1.5}, "/days"),
        ("backtest", {"mode": "active"}, "/mode"),
    ],
)
def test_refuses(api: ApiClient, action: str, body: dict[str, Any], pointer: str) -> None:
    proposal = factory.proposal(api.tenant)
    answer = post(api, f"{proposal.pk}/{action}/", body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert Proposal.objects.get().status == "draft"


def test_backtest(api: ApiClient) -> None:
    incident = factory.incident(api.tenant, calls=3)
    factory.incident(TenantFactory.create(), calls=3)
    lesson = factory.lesson(api.tenant, LessonStatus.CONVERTED, incident_id=incident.pk)
    answer = post(api, f"{lesson.proposal_id}/backtest/", {})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["days"], found["alerts_prevented"], found["incidents_prevented"]) == (90, 3, 1)
    (largest,) = found["largest"]
    assert largest == {
        "id": str(incident.pk),
        "title": incident.title,
        "status": "open",
        "severity": "high",
        "alerts_count": 3,
        "calls_affected": 3,
        "cost_delta_cents": "4.5000",
        "started_at": largest["started_at"],
        "resolution_type": None,
    }


@pytest.mark.parametrize("action", ["approve", "reject", "backtest"])
def test_act_on_another_tenants_proposal(api: ApiClient, action: str) -> None:
    theirs = factory.proposal(TenantFactory.create())
    missing = "01900000-0000-7000-8000-000000000000"
    answers = [post(api, f"{key}/{action}/", {"reason": "x"}) for key in (theirs.pk, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert Proposal.objects.get().status == "draft"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "", "read"),
        ("get", "{id}/", "read"),
        ("post", "{id}/approve/", "admin"),
        ("post", "{id}/reject/", "triage"),
        ("post", "{id}/backtest/", "triage"),
    ],
)
def test_scopes(call: Callable[..., ApiClient], method: str, path: str, scope: str) -> None:
    scopes = {"ingest", "read", "triage", "export", "admin"}
    lacking = call(*sorted(scopes - {scope}))
    proposal = factory.proposal(lacking.tenant)
    address = PROPOSALS + path.format(id=proposal.pk)
    options: dict[str, Any] = (
        {"data": {}, "content_type": "application/json"} if method == "post" else {}
    )
    assert getattr(lacking, method)(address, **options).status_code == 403
    assert getattr(call(scope), method)(address, **options).status_code not in (401, 403, 404, 405)
