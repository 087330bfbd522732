from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.tenancy.models import Tenant
from incidents.models import CostAnomaly, OutcomeTally
from tests.config.api.conftest import ApiClient
from tests.factories.facts import fail, make_incident
from tests.factories.tenancy import TenantFactory
from tests.incidents.views.test_runs import BASE, pointers, post

VIOLATION = {"run_id": "run-1", "policy_id": "pii", "rule_id": "no-names"}
ANOMALY = {
    "anomaly_id": "a-1",
    "kind": "SUSTAINED_DRIFT",
    "severity": "critical",
    "cost_delta_cents": "12.5",
}
EVALUATION = {"run_id": "run-1", "outcome": "passed", "policies_checked": 3, "confidence": 0.75}
COST = {"request_id": "req-1", "run_id": "run-1", "cost_cents": "3", "tokens": 12}


def test_a_violation_over_http(api: ApiClient) -> None:
    body = {**VIOLATION, "severity": "high", "reason": "said a name", "evidence": {"said": "Ada"}}
    first = post(api, "violations/", body)
    assert first.status_code == 201
    answer = first.json()
    assert answer["outcome"] == "opened"
    assert answer["incident"]["group_key"] == "pii"
    assert answer["incident"]["severity"] == "high"
    assert answer["evidence"]["data"] == {"said": "Ada"}
    again = post(api, "violations/", VIOLATION)
    assert (again.status_code, again.json()) == (
        200,
        {**answer, "outcome": "duplicate"},
    )
    violation = answer["violation"]
    assert api.get(f"{BASE}violations/{violation['id']}/").json() == violation
    for query, found in (("run_id=run-1", 1), ("run_id=run", 0), ("policy_id=pii", 1)):
        assert len(api.get(f"{BASE}violations/?{query}").json()["results"]) == found
    truth = api.get(f"{BASE}violations/truth/?run_id=run-1&policy_id=pii").json()
    assert truth == {
        "checks": {
            "violation_recorded": True,
            "incident_exists": True,
            "evidence_exists": True,
            "no_duplicates": True,
        },
        "passed": True,
    }
    nothing = api.get(f"{BASE}violations/truth/?run_id=run-10&policy_id=pii")
    assert (nothing.status_code, nothing.json()["passed"]) == (200, False)


def test_an_anomaly_over_http(api: ApiClient) -> None:
    first = post(api, "cost-anomalies/", ANOMALY)
    assert first.status_code == 201
    assert first.json()["incident"]["cause_type"] == "system"
    assert first.json()["incident"]["trigger_type"] == "cost_drift"
    again = post(api, "cost-anomalies/", ANOMALY)
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    low = post(api, "cost-anomalies/", {**ANOMALY, "anomaly_id": "a-2", "severity": "low"})
    assert low.status_code == 201
    assert (low.json()["incident"], low.json()["outcome"]) == (None, None)
    assert low.json()["anomaly"]["cost_delta_cents"] == "12.5000"
    assert len(api.get(f"{BASE}cost-anomalies/").json()["results"]) == 2


@pytest.mark.parametrize(
    ("path", "body"), [("policy-evaluations/", EVALUATION), ("cost-records/", COST)]
)
def test_a_record_is_kept_once(api: ApiClient, path: str, body: dict[str, Any]) -> None:
    first = post(api, path, body)
    assert first.status_code == 201
    again = post(api, path, body)
    assert (again.status_code, again.json()) == (200, first.json())
    assert api.get(f"{BASE}{path}").json()["results"] == [first.json()]
    assert api.get(f"{BASE}{path}?run_id=run-1").json()["results"] == [first.json()]
    assert api.get(f"{BASE}{path}?run_id=run-").json()["results"] == []
    assert api.get(f"{BASE}runs/run-1/").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("violations/", {**VIOLATION, "run_id": "a/b"}, "/run_id"),
        ("violations/", {**VIOLATION, "policy_id": "a b"}, "/policy_id"),
        ("violations/", {**VIOLATION, "severity": "worst"}, "/severity"),
        ("cost-anomalies/", {**ANOMALY, "cost_delta_cents": "-1"}, "/cost_delta_cents"),
        ("cost-anomalies/", {**ANOMALY, "cost_delta_cents": 1}, "/cost_delta_cents"),
        ("cost-anomalies/", {**ANOMALY, "kind": ""}, "/kind"),
        ("policy-evaluations/", {**EVALUATION, "confidence": 1.01}, "/confidence"),
        ("policy-evaluations/", {**EVALUATION, "policies_checked": -1}, "/policies_checked"),
        ("cost-records/", {**COST, "cost_cents": "1.00001"}, "/cost_cents"),
        ("cost-records/", {**COST, "request_id": "x" * 129}, "/request_id"),
    ],
)
def test_a_bad_fact_is_refused_by_name(
    api: ApiClient, path: str, body: dict[str, Any], expected: str
) -> None:
    assert pointers(post(api, path, body)) == [expected]
    # Only what would have gone through the door counts as a rejected report.
    assert OutcomeTally.objects.exists() == path.startswith(("violations", "cost-anomalies"))


def test_facts_of_another_tenant_do_not_exist(
    api: ApiClient, call: Callable[..., ApiClient]
) -> None:
    other = call(of=TenantFactory.create())
    violation = post(other, "violations/", VIOLATION).json()["violation"]
    post(other, "cost-anomalies/", ANOMALY)
    post(other, "cost-records/", COST)
    post(other, "policy-evaluations/", EVALUATION)
    assert api.get(f"{BASE}violations/{violation['id']}/").status_code == 404
    truth = api.get(f"{BASE}violations/truth/?run_id=run-1&policy_id=pii").json()
    assert truth["checks"]["violation_recorded"] is False
    for path in ("violations/", "cost-anomalies/", "cost-records/", "policy-evaluations/"):
        assert api.get(f"{BASE}{path}").json()["results"] == []
    assert post(api, "cost-anomalies/", ANOMALY).status_code == 201
    assert CostAnomaly.objects.count() == 2


def test_evidence_is_added_once_for_an_idempotency_key(api: ApiClient, tenant: Tenant) -> None:
    incident = make_incident(tenant)
    path = f"incidents/{incident.pk}/evidence/"
    body = {"kind": "log", "data": {"b": 1.5, "a": "\u00e9"}, "recovery_executed": True,
            "actor": "Ada"}  # fmt: skip
    first = post(api, path, body, headers={"Idempotency-Key": "k"})
    again = post(api, path, body, headers={"Idempotency-Key": "k"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    evidence = api.get(f"{BASE}{path}").json()["results"]
    assert [one["id"] for one in evidence] == [first.json()["id"]]
    assert evidence[0]["data"] == body["data"]
    assert evidence[0]["recovery_executed"] is True
    event = api.get(f"{BASE}incidents/{incident.pk}/events/").json()["results"][0]
    assert (event["event_type"], event["actor"]) == ("evidence_added", "Ada")
    assert pointers(post(api, path, {**body, "data": [1]})) == ["/data"]


def test_a_postmortem_begins_once(api: ApiClient, tenant: Tenant) -> None:
    incident = fail(tenant, error_message="lost 3 rows").incident
    assert incident is not None
    path = f"incidents/{incident.pk}/postmortem/"
    first = post(api, path, {"actor": "Ada"})
    assert first.status_code == 201
    assert "First error: lost 3 rows" in first.json()["text"]
    again = post(api, path, {})
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")
    detail = api.get(f"{BASE}incidents/{incident.pk}/").json()
    assert detail["postmortem_id"] == first.json()["postmortem_id"]
    assert "lost # rows" in detail["signature_explained"]


def test_recurrences_are_a_list_of_the_others(api: ApiClient, tenant: Tenant) -> None:
    first = make_incident(tenant, error_message="lost 1", occurred_at=None)
    post(api, f"incidents/{first.pk}/resolve/", {"resolution_method": "manual"})
    second = make_incident(tenant, error_message="lost 2")
    answer = api.get(f"{BASE}incidents/{second.pk}/recurrences/").json()
    assert [incident["id"] for incident in answer["results"]] == [str(first.pk)]
    assert answer["next"] is None
