from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config import clock
from incidents.enums import Severity
from lessons.enums import LessonStatus, LessonType
from lessons.models import Lesson
from tests.config.api.conftest import ApiClient
from tests.factories import lessons as factory
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

LESSONS = "/api/v1/lessons/"


def post(api: ApiClient, path: str, body: dict[str, Any], **headers: str) -> Any:
    return api.post(LESSONS + path, body, content_type="application/json", headers=headers)


NEAR = {"run_id": "run-1", "metric": "tokens", "current_value": 91, "threshold_value": 100}
SUCCESS = {"run_id": "run-1", "success_type": "fast", "metrics": {"seconds": 3.5}}
OWN = {"lesson_type": "failure", "title": "It failed", "description": "Again."}


def test_create_and_retrieve(api: ApiClient) -> None:
    incident = factory.incident_by_hand(api.tenant)
    body = OWN | {
        "severity": "high",
        "incident_id": str(incident.pk),
        "run_id": "run-1",
        "proposed_action": "Restart it.",
        "detected_pattern": {"error_code": "X"},
        "actor": "Ada",
    }
    answer = post(api, "", body)
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in body if name != "actor"} == {
        name: value for name, value in body.items() if name != "actor"
    }
    assert (made["status"], made["proposal_id"], made["repeats"]) == ("pending", None, None)
    (entry,) = made["history"]
    assert (entry["event_type"], entry["actor"], entry["via"]) == ("captured", "Ada", api.key.name)
    assert api.get(f"{LESSONS}{made['id']}/").json() == made
    again = post(api, "", body | {"title": "Other"})
    assert (again.status_code, again.json()) == (200, made)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"lesson_type": "success"}, "/lesson_type"),
        ({"lesson_type": None}, "/lesson_type"),
        ({"title": ""}, "/title"),
        ({"title": "x" * 2001}, "/title"),
        ({"description": 5}, "/description"),
        ({"severity": "severe"}, "/severity"),
        ({"incident_id": "1"}, "/incident_id"),
        ({"run_id": "a/b"}, "/run_id"),
        ({"detected_pattern": []}, "/detected_pattern"),
        ({"tenant": "other"}, "/tenant"),
    ],
)
def test_create_refuses(api: ApiClient, changes: dict[str, Any], pointer: str) -> None:
    answer = post(api, "", OWN | changes)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not Lesson.objects.exists()


def test_create_about_another_tenants_incident(api: ApiClient) -> None:
    theirs = factory.incident_by_hand(TenantFactory.create())
    answer = post(api, "", OWN | {"incident_id": str(theirs.pk)})
    missing = post(api, "", OWN | {"incident_id": "01900000-0000-7000-8000-000000000000"})
    assert answer.status_code == missing.status_code == 404
    assert answer.json() == missing.json()


def test_create_with_an_idempotency_key(api: ApiClient) -> None:
    first = post(api, "", OWN, **{"Idempotency-Key": "k"})
    again = post(api, "", OWN, **{"Idempotency-Key": "k"})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert Lesson.objects.count() == 1
    assert post(api, "", OWN | {"title": "x"}, **{"Idempotency-Key": "k"}).status_code == 409


def test_near_threshold(api: ApiClient) -> None:
    first = post(api, "near-threshold/", NEAR)
    assert first.status_code == 201
    made = first.json()
    assert made["created"] is True
    assert (made["lesson_type"], made["severity"]) == ("near_threshold", "medium")
    assert made["detected_pattern"] == {
        "metric": "tokens",
        "band": "90-95",
        "current_value": 91,
        "threshold_value": 100,
        "utilization_percent": 91.0,
    }
    again = post(api, "near-threshold/", NEAR | {"current_value": 92.5})
    assert (again.status_code, again.json()) == (200, {"created": False, "reason": "debounced"})
    assert api.get(f"{LESSONS}{made['id']}/").json()["repeats"] == 1
    low = post(api, "near-threshold/", NEAR | {"current_value": 84.9})
    assert (low.status_code, low.json()) == (200, {"created": False, "reason": "below_threshold"})
    assert Lesson.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"current_value": "91"}, "/current_value"),
        ({"current_value": True}, "/current_value"),
        ({"current_value": None}, "/current_value"),
        ({"threshold_value": 0}, "/threshold_value"),
        ({"threshold_value": -5}, "/threshold_value"),
        ({"metric": ""}, "/metric"),
        ({"run_id": ""}, "/run_id"),
    ],
)
def test_near_threshold_refuses(api: ApiClient, changes: dict[str, Any], pointer: str) -> None:
    answer = post(api, "near-threshold/", NEAR | changes)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999", "9" * 400])
def test_near_threshold_of_no_number(api: ApiClient, number: str) -> None:
    body = f'{{"run_id":"r","metric":"m","current_value":{number},"threshold_value":1}}'
    answer = api.post(f"{LESSONS}near-threshold/", body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("values", [(1e308, 5e-324), (5e-324, 5e-324), (-1e308, 1e-308)])
def test_near_threshold_of_extremes(api: ApiClient, values: tuple[float, float]) -> None:
    body = NEAR | {"current_value": values[0], "threshold_value": values[1]}
    assert post(api, "near-threshold/", body).status_code == (201 if values[0] > 0 else 200)


def test_critical_success(api: ApiClient) -> None:
    first = post(api, "critical-success/", SUCCESS)
    assert first.status_code == 201
    assert first.json()["created"] is True
    assert first.json()["detected_pattern"]["metrics"] == {"seconds": 3.5}
    again = post(api, "critical-success/", SUCCESS)
    assert again.status_code == 200
    assert again.json() == {"created": False, "reason": "already_recorded"}


def test_list_with_filters(api: ApiClient) -> None:
    factory.lesson(TenantFactory.create())
    high = factory.lesson(api.tenant, severity=Severity.HIGH)
    dismissed = factory.lesson(api.tenant, LessonStatus.DISMISSED)
    success = factory.lesson(api.tenant, lesson_type=LessonType.CRITICAL_SUCCESS)
    drill = factory.incident(api.tenant, is_synthetic=True)
    synthetic = factory.lesson(api.tenant, incident_id=drill.pk)

    def listed(query: str) -> list[str]:
        answer = api.get(LESSONS + query)
        assert answer.status_code == 200, answer.content
        return [row["id"] for row in answer.json()["results"]]

    def ids(*lessons: Lesson) -> list[str]:
        return [str(lesson.pk) for lesson in lessons]

    assert listed("") == ids(success, dismissed, high)
    assert listed("?include_synthetic=false") == ids(success, dismissed, high)
    assert listed("?include_synthetic=true") == ids(synthetic, success, dismissed, high)
    assert listed("?severity=high") == ids(high)
    assert listed("?status=dismissed") == ids(dismissed)
    assert listed("?lesson_type=critical_success") == ids(success)
    assert listed("?lesson_type=failure&status=pending") == ids(high)
    assert listed("?ordering=created_at&page_size=1") == ids(high)
    page = api.get(f"{LESSONS}?page_size=2").json()
    assert [row["id"] for row in api.get(page["next"]).json()["results"]] == ids(high)


@pytest.mark.parametrize(
    "query", ["status=open", "severity=severe", "include_synthetic=1", "colour=red", "page_size=0"]
)
def test_list_refuses(api: ApiClient, query: str) -> None:
    answer = api.get(f"{LESSONS}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"/{query.split('=')[0]}"


def test_stats(api: ApiClient) -> None:
    factory.lesson(TenantFactory.create())
    factory.lesson(api.tenant)
    factory.lesson(api.tenant, LessonStatus.DEFERRED)
    factory.lesson(api.tenant, lesson_type=LessonType.CRITICAL_SUCCESS)
    drill = factory.incident(api.tenant, is_synthetic=True)
    factory.lesson(api.tenant, incident_id=drill.pk)
    found = api.get(f"{LESSONS}stats/").json()
    assert found["total"] == 3
    assert found["by_type"] == {"failure": 2, "near_threshold": 0, "critical_success": 1}
    assert found["by_status"] == {
        "pending": 2,
        "deferred": 1,
        "dismissed": 0,
        "converted_to_draft": 0,
    }
    assert found["by_type_and_status"]["failure"]["deferred"] == 1
    assert api.get(f"{LESSONS}stats/?include_synthetic=true").json()["total"] == 4


@pytest.mark.parametrize("seconds", [-1, 0])
def test_defer_until_what_is_not_in_the_future(api: ApiClient, seconds: int) -> None:
    lesson = factory.lesson(api.tenant)
    now = clock.now()
    with clock.pretend(now):
        until = (now + timedelta(seconds=seconds)).isoformat()
        answer = post(api, f"{lesson.pk}/defer/", {"until": until})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/until"


def test_defer_without_an_offset(api: ApiClient) -> None:
    lesson = factory.lesson(api.tenant)
    assert post(api, f"{lesson.pk}/defer/", {"until": "2999-01-01T00:00:00"}).status_code == 400
    assert post(api, f"{lesson.pk}/defer/", {}).status_code == 400
    answer = post(api, f"{lesson.pk}/defer/", {"until": "2999-01-01T01:00:00+01:00"})
    assert answer.json()["deferred_until"] == "2999-01-01T00:00:00Z"


def test_defer_until_the_end_of_time(api: ApiClient) -> None:
    lesson = factory.lesson(api.tenant)
    answer = post(api, f"{lesson.pk}/defer/", {"until": "9999-12-31T23:59:59Z"})
    assert answer.status_code == 200


def test_dismiss_keeps_the_reason(api: ApiClient) -> None:
    lesson = factory.lesson(api.tenant)
    assert post(api, f"{lesson.pk}/dismiss/", {}).status_code == 400
    answer = post(api, f"{lesson.pk}/dismiss/", {"reason": "known", "actor": "Ada"})
    assert answer.json()["dismissed_reason"] == "known"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("defer/", {"until": "2999-01-01T00:00:00Z"}),
        ("dismiss/", {"reason": "x"}),
        ("convert/", {}),
        ("reactivate/", {}),
    ],
)
def test_act_on_another_tenants_lesson(api: ApiClient, path: str, body: dict[str, Any]) -> None:
    theirs = factory.lesson(TenantFactory.create())
    missing = "01900000-0000-7000-8000-000000000000"
    answers = [post(api, f"{key}/{path}", body) for key in (theirs.pk, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert api.get(f"{LESSONS}{theirs.pk}/").status_code == 404
    assert Lesson.objects.get().status == "pending"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "", "read"),
        ("get", "stats/", "read"),
        ("get", "{id}/", "read"),
        ("post", "", "ingest"),
        ("post", "near-threshold/", "ingest"),
        ("post", "critical-success/", "ingest"),
        ("post", "{id}/defer/", "triage"),
        ("post", "{id}/dismiss/", "triage"),
        ("post", "{id}/convert/", "triage"),
        ("post", "{id}/reactivate/", "triage"),
    ],
)
def test_scopes(call: Callable[..., ApiClient], method: str, path: str, scope: str) -> None:
    scopes = {"ingest", "read", "triage", "export", "admin"}
    lacking = call(*sorted(scopes - {scope}))
    lesson = factory.lesson(lacking.tenant)
    address = LESSONS + path.format(id=lesson.pk)
    options: dict[str, Any] = (
        {"data": {}, "content_type": "application/json"} if method == "post" else {}
    )
    assert getattr(lacking, method)(address, **options).status_code == 403
    assert getattr(call(scope), method)(address, **options).status_code not in (401, 403, 404, 405)
