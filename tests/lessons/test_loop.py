"""The loop that everything serves, from a flood to its prevention, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from config import clock
from incidents.models import Incident, PolicyRule
from tests.config.api.conftest import ApiClient

pytestmark = pytest.mark.django_db

START = clock.now() - timedelta(days=1)


class Person:
    """Somebody who sends requests, and is only content with the status they expect."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.api.post(f"/api/v1/{path}", body, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    def patch(self, path: str, **body: Any) -> Any:
        answer = self.api.patch(f"/api/v1/{path}", body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.content
        return answer.json()


def flood(wave: int, *, calls: int = 60) -> dict[str, Any]:
    return {
        "alerts": [
            {
                "trigger_type": "failure_spike",
                "group_key": "checkout",
                "call_id": f"wave-{wave}-call-{number}",
                "agent_id": "checkout-agent",
                "error_code": "EXECUTION_TIMEOUT",
                "error_message": "No answer within 60 s",
                "category": "execution_failure",
                "cost_delta_cents": "2.5",
            }
            for number in range(calls)
        ]
    }


def test_the_loop_from_a_flood_to_its_prevention(api: ApiClient) -> None:
    ada = Person(api)
    with clock.pretend(START):
        first = ada.post("alerts/batch/", **flood(1))
        assert (first["received"], first["opened"], first["aggregated"]) == (60, 1, 59)
        (incident_id,) = first["incidents"]
        ada.post(
            f"incidents/{incident_id}/resolve/",
            resolution_method="manual",
            resolution_type="real",
        )
        call_command("housekeeping", verbosity=0)

        (lesson,) = ada.get("lessons/?lesson_type=failure")["results"]
        assert (lesson["incident_id"], lesson["status"]) == (incident_id, "pending")
        assert lesson["severity"] == "high"
        assert "60 calls" in lesson["description"]
        (draft,) = ada.get("proposals/")["results"]
        assert (draft["status"], draft["kind"]) == ("draft", "timeout_policy")

    with clock.pretend(START + timedelta(hours=1)):
        converted = ada.post(f"lessons/{lesson['id']}/convert/", actor="Ada")
        assert converted["status"] == "converted_to_draft"
        assert converted["proposal_id"] == draft["id"]
        assert converted["history"][-1]["actor"] == "Ada"

    with clock.pretend(START + timedelta(hours=3)):
        backtest = ada.post(f"proposals/{draft['id']}/backtest/", days=30)
        assert backtest["alerts_prevented"] == 60
        assert backtest["incidents_prevented"] == 1
        assert backtest["by_severity"] == {"low": 0, "medium": 0, "high": 1, "critical": 0}
        assert backtest["resolved_as_real"] == 1
        assert [row["id"] for row in backtest["largest"]] == [incident_id]
        fields = ("trigger_type", "error_code", "category", "agent_id")
        same = ada.post("policy-rules/backtest/", days=30, **{name: draft[name] for name in fields})
        assert same == backtest

        approved = ada.post(f"proposals/{draft['id']}/approve/", actor="Grace")
        assert (approved["status"], approved["decided_by"]) == (
            "approved",
            f"Grace via {api.key.name}",
        )
        rule = PolicyRule.objects.get(pk=approved["rule_id"])
        assert rule.mode == "shadow"
        assert str(rule.source_proposal_id) == draft["id"]
        assert str(rule.source_lesson_id) == lesson["id"]
        assert str(rule.source_incident_id) == incident_id

        shadowed = ada.post("alerts/batch/", **flood(2, calls=5))
        assert (shadowed["prevented"], shadowed["opened"]) == (0, 1)
        assert ada.get(f"policy-rules/{rule.pk}/effectiveness/")["preventions"] == 0

    with clock.pretend(START + timedelta(hours=4)):
        ada.patch(f"policy-rules/{rule.pk}/", mode="active")
        again = ada.post("alerts/batch/", **flood(3))
        assert (again["received"], again["prevented"]) == (60, 60)
        assert again["incidents"] == []
        assert Incident.objects.filter(tenant=api.tenant).count() == 2

    with clock.pretend(START + timedelta(hours=9)):
        effect = ada.get(f"policy-rules/{rule.pk}/effectiveness/")
    assert effect["preventions"] == 60
    assert effect["prevented_cost_cents"] == "150.0000"
    assert effect["shadow_matches"] == 5
    assert (effect["before"]["recurrences"], effect["after"]["recurrences"]) == (2, 0)
    assert effect["before"]["cost_delta_cents"] == "162.5000"
    assert effect["before"]["until"] == effect["after"]["since"] == effect["activated_at"]
    assert "4 hours" in effect["explanation"]
