from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.tenancy.models import Tenant
from incidents.models import OutcomeTally, Run, Step
from tests.config.api.conftest import ApiClient
from tests.factories.facts import fail, spend
from tests.factories.tenancy import TenantFactory

BASE = "/api/v1/"
FAILURE = {"failure_type": "exception", "error_code": "STEP_FAILURE"}
STEP = {"step_index": 0, "timestamp": "2026-01-01T00:00:00Z", "step_type": "user", "content": "x"}


def post(api: ApiClient, path: str, body: Any, **options: Any) -> Any:
    return api.post(f"{BASE}{path}", body, content_type="application/json", **options)


def put(api: ApiClient, path: str, body: Any) -> Any:
    return api.put(f"{BASE}{path}", body, content_type="application/json")


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["pointer"] for error in answer.json()["errors"]]


def test_a_run_from_announcement_to_end(api: ApiClient) -> None:
    body = {
        "run_id": "run-1",
        "agent_id": "a",
        "goal": "g",
        "started_at": "2026-01-01T01:00:00+01:00",
    }
    first = post(api, "runs/", body)
    assert first.status_code == 201
    assert first.json()["started_at"] == "2026-01-01T00:00:00Z"
    assert first.json()["status"] == "running"
    again = post(api, "runs/", body)
    assert (again.status_code, again.json()) == (200, first.json())
    end = {"status": "succeeded", "total_tokens": 7, "total_cost_cents": "1.25"}
    ended = post(api, "runs/run-1/complete/", end)
    assert ended.status_code == 200
    assert ended.json()["total_cost_cents"] == "1.2500"
    assert post(api, "runs/run-1/complete/", end).json() == ended.json()
    other = post(api, "runs/run-1/complete/", {"status": "halted"})
    assert (other.status_code, other.json()["code"]) == (409, "invalid_transition")
    assert api.get(f"{BASE}runs/run-1/").json() == ended.json()
    listed = api.get(f"{BASE}runs/?status=succeeded&agent_id=a").json()
    assert [run["run_id"] for run in listed["results"]] == ["run-1"]
    assert api.get(f"{BASE}runs/?status=failed").json()["results"] == []


def test_a_trace_reads_back_whole_and_is_kept(api: ApiClient) -> None:
    body = {
        "trace_id": "t",
        "steps": [{**STEP, "cost_cents": "0.5"}, {**STEP, "step_index": 4, "content": None}],
        "violation_step_index": 4,
    }
    assert put(api, "runs/run-1/trace/", body).status_code == 201
    assert put(api, "runs/run-1/trace/", body).status_code == 200
    trace = api.get(f"{BASE}runs/run-1/trace/").json()
    assert (trace["step_count"], trace["violation_step_index"]) == (2, 4)
    assert trace["steps"][0]["cost_cents"] == "0.5000"
    assert len(trace["steps"][0]["sha256"]) == 64
    assert trace["steps"][1]["sha256"] is None
    incident = post(api, "runs/run-1/failure/", FAILURE).json()["incident"]
    assert api.get(f"{BASE}runs/run-1/trace/").json()["incident_id"] == incident["id"]
    changed = {**body, "steps": [{**STEP, "content": "other"}, body["steps"][1]]}
    answer = put(api, "runs/run-1/trace/", changed)
    assert (answer.status_code, answer.json()["code"]) == (409, "trace_kept")
    more = {**body, "steps": [*body["steps"], {**STEP, "step_index": 5}]}
    assert put(api, "runs/run-1/trace/", more).status_code == 200
    assert Step.objects.count() == 3


def test_a_failure_over_http(api: ApiClient, tenant: Tenant) -> None:
    body = {**FAILURE, "error_message": "", "request_id": "r/1", "evidence": {"log": ["x"], "n": 1}}
    first = post(api, "runs/run-1/failure/", body)
    assert first.status_code == 201
    assert first.json()["outcome"] == "opened"
    assert first.json()["failure"]["severity"] == "high"
    assert first.json()["incident"]["source_type"] == "failure"
    again = post(api, "runs/run-1/failure/", body)
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    assert again.json()["failure"] == first.json()["failure"]
    assert post(api, "runs/run-1/failure/", FAILURE).status_code == 201
    latest = api.get(f"{BASE}runs/run-1/failure/").json()
    assert latest["request_id"] is None
    assert latest["evidence"][0]["data"]["error_code"] == "STEP_FAILURE"
    incidents = api.get(f"{BASE}runs/run-1/incidents/").json()["results"]
    assert [incident["id"] for incident in incidents] == [first.json()["incident"]["id"]]
    evidence = api.get(f"{BASE}incidents/{incidents[0]['id']}/evidence/").json()["results"]
    assert {"log": ["x"], "n": 1} in [one["data"] for one in evidence]
    assert api.get(f"{BASE}runs/run-1/").json()["status"] == "failed"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["/failure_type", "/error_code"]),
        ({**FAILURE, "failure_type": "crash"}, ["/failure_type"]),
        ({**FAILURE, "error_code": ""}, ["/error_code"]),
        ({**FAILURE, "error_code": "x" * 201}, ["/error_code"]),
        ({**FAILURE, "error_code": "nul\0"}, ["/error_code"]),
        ({**FAILURE, "request_id": "a b"}, ["/request_id"]),
        ({**FAILURE, "request_id": "a%b"}, ["/request_id"]),
        ({**FAILURE, "duration_ms": -1}, ["/duration_ms"]),
        ({**FAILURE, "duration_ms": 2**53}, ["/duration_ms"]),
        ({**FAILURE, "duration_ms": True}, ["/duration_ms"]),
        ({**FAILURE, "metadata": []}, ["/metadata"]),
        ({**FAILURE, "evidence": {"x": "y" * 17_000}}, ["/evidence"]),
        ({**FAILURE, "occurred_at": "2026-01-01T00:00:00"}, ["/occurred_at"]),
        ({**FAILURE, "occurred_at": "2999-01-01T00:00:00Z"}, ["/occurred_at"]),
        ({**FAILURE, "severity": "low"}, ["/severity"]),
    ],
)
def test_a_bad_failure_is_refused_by_name_and_counted(
    api: ApiClient, body: dict[str, Any], expected: list[str]
) -> None:
    assert pointers(post(api, "runs/run-1/failure/", body)) == expected
    tally = OutcomeTally.objects.get()
    assert (tally.received, tally.rejected) == (1, 1)
    assert not Run.objects.exists()


@pytest.mark.parametrize("run_id", ["a%20b", "a%25", "x" * 129, "%C3%A9", "a%22b", "a%5Cb"])
def test_an_address_that_can_name_no_run(api: ApiClient, run_id: str) -> None:
    assert pointers(post(api, f"runs/{run_id}/failure/", FAILURE)) == ["/run_id"]
    assert pointers(post(api, f"runs/{run_id}/complete/", {"status": "failed"})) == ["/run_id"]
    trace = {"trace_id": "t", "steps": []}
    assert pointers(put(api, f"runs/{run_id}/trace/", trace)) == ["/run_id"]
    for path in ("", "trace/", "failure/", "incidents/", "contamination/"):
        assert api.get(f"{BASE}runs/{run_id}/{path}").status_code == 404
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"trace_id": "t"}, ["/steps"]),
        ({"trace_id": "t", "steps": [{}]}, ["/steps/0/step_index", "/steps/0/timestamp",
                                            "/steps/0/step_type"]),
        ({"trace_id": "t", "steps": [{**STEP, "extra": 1}]}, ["/steps/0/extra"]),
        ({"trace_id": "t", "steps": [STEP, STEP]}, ["/steps/1/step_index"]),
        ({"trace_id": "t", "steps": [{**STEP, "content": "\u00e9" * 600_000}]},
         ["/steps/0/content"]),
        ({"trace_id": "t", "steps": [STEP], "violation_step_index": 1}, ["/violation_step_index"]),
        ({"trace_id": "t", "steps": [{**STEP, "step_index": n} for n in range(10_001)]},
         ["/steps"]),
    ],
)  # fmt: skip
def test_a_bad_trace_is_refused_by_name(
    api: ApiClient, body: dict[str, Any], expected: list[str]
) -> None:
    assert pointers(put(api, "runs/run-1/trace/", body)) == expected
    assert not Step.objects.exists()


def test_contamination_is_of_this_run_alone(api: ApiClient, tenant: Tenant) -> None:
    fail(tenant, "run-1")
    spend(tenant, run_id="run-10")
    answer = api.get(f"{BASE}runs/run-1/contamination/").json()
    assert answer == {"cost_records": 0, "cost_anomalies": 0, "other_incidents": 0}
    spend(tenant, "mine", run_id="run-1")
    answer = api.get(f"{BASE}runs/run-1/contamination/").json()
    assert answer == {"cost_records": 0, "cost_anomalies": 1, "other_incidents": 1}


def test_another_tenants_run_does_not_exist(api: ApiClient, call: Callable[..., ApiClient]) -> None:
    other = call(of=TenantFactory.create())
    post(other, "runs/run-1/failure/", FAILURE)
    put(other, "runs/run-1/trace/", {"trace_id": "t", "steps": [STEP]})
    for path in ("", "trace/", "failure/", "incidents/", "contamination/"):
        unknown = api.get(f"{BASE}runs/run-2/{path}")
        foreign = api.get(f"{BASE}runs/run-1/{path}")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json() == unknown.json()
    assert api.get(f"{BASE}runs/").json()["results"] == []
    assert post(api, "runs/run-1/failure/", FAILURE).json()["outcome"] == "opened"


def test_a_trace_of_ten_thousand_steps(api: ApiClient) -> None:
    steps = [{**STEP, "step_index": n} for n in range(10_000)]
    body = {"trace_id": "t", "steps": steps}
    assert put(api, "runs/run-1/trace/", body).status_code == 201
    assert api.get(f"{BASE}runs/run-1/trace/").json()["step_count"] == 10_000
