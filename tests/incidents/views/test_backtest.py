from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from incidents.enums import RuleMode
from incidents.services import rules
from tests.config.api.conftest import ApiClient
from tests.factories.lessons import ADA, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

BACKTEST = "/api/v1/policy-rules/backtest/"


def post(api: ApiClient, body: dict[str, Any]) -> Any:
    return api.post(BACKTEST, body, content_type="application/json")


def test_backtest(api: ApiClient) -> None:
    incident(api.tenant, calls=3)
    incident(TenantFactory.create(), calls=3)
    answer = post(
        api,
        {
            "name": "n",
            "policy_type": "p",
            "mode": "active",
            "is_active": False,
            "trigger_type": "failure_spike",
            "agent_id": None,
        },
    )
    assert answer.status_code == 200
    found = answer.json()
    assert (found["days"], found["alerts_prevented"], found["incidents_prevented"]) == (90, 3, 1)
    assert found["by_severity"] == {"low": 0, "medium": 0, "high": 1, "critical": 0}
    assert post(api, {"category": "none-such"}).json()["largest"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"name": "only this"}, ""),
        ({"trigger_type": None}, ""),
        ({"trigger_type": "A B"}, "/trigger_type"),
        ({"category": "c", "days": 366}, "/days"),
        ({"category": "c", "days": 0}, "/days"),
        ({"category": "c", "colour": "red"}, "/colour"),
    ],
)
def test_backtest_refuses(api: ApiClient, body: dict[str, Any], pointer: str) -> None:
    answer = post(api, body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_effectiveness_of_a_new_rule(api: ApiClient) -> None:
    rule = rules.create(tenant=api.tenant, by=ADA, name="r", mode=RuleMode.SHADOW, category="c")
    answer = api.get(f"/api/v1/policy-rules/{rule.pk}/effectiveness/")
    assert answer.status_code == 200
    found = answer.json()
    explanation = found.pop("explanation")
    assert found == {
        "rule_id": str(rule.pk),
        "preventions": 0,
        "prevented_cost_cents": None,
        "shadow_matches": 0,
        "activated_at": None,
        "deactivated_at": None,
        "source_incident_id": None,
        "signature": None,
        "before": None,
        "after": None,
    }
    assert explanation.startswith("Preventions are the reports that the rule kept out")
    for counted in ("their cost is", "shadow matches are", "Recurrences are not compared"):
        assert counted in explanation


def test_effectiveness_of_another_tenants_rule(api: ApiClient) -> None:
    theirs = rules.create(
        tenant=TenantFactory.create(), by=ADA, name="r", mode=RuleMode.SHADOW, category="c"
    )
    missing = "01900000-0000-7000-8000-000000000000"
    answers = [
        api.get(f"/api/v1/policy-rules/{key}/effectiveness/") for key in (theirs.pk, missing)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()


def test_scopes(call: Callable[..., ApiClient]) -> None:
    assert post(call("read", "ingest", "export"), {"category": "c"}).status_code == 403
    assert post(call("triage"), {"category": "c"}).status_code == 200
    address = "/api/v1/policy-rules/01900000-0000-7000-8000-000000000000/effectiveness/"
    assert call("triage").get(address).status_code == 403
    assert call("read").get(address).status_code == 404
