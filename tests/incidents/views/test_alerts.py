"""POST alerts/ and alerts/batch/, from outside."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from incidents.enums import Outcome
from incidents.models import Alert, Incident, OutcomeTally
from tests.config.api.conftest import ApiClient
from tests.incidents.bad_alerts import BAD_ALERTS, MALFORMED
from tests.incidents.services.checks import assert_consistent

ALERTS, BATCH = "/api/v1/alerts/", "/api/v1/alerts/batch/"
NDJSON = "application/x-ndjson"

# What Python's own reader refuses, or reads as a number that it would send in another form.
NOT_FOR_PYTHON = (
    "cost NaN",
    "cost Infinity",
    "cost -Infinity",
    "integer of 5,000 digits",
    "nested without end",
)

pytestmark = pytest.mark.django_db


def post(api: ApiClient, body: Any, path: str = ALERTS, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    options.setdefault("content_type", "application/json")
    return api.post(path, data, **options)


def tallied(api: ApiClient) -> Counter[str]:
    totals: Counter[str] = Counter()
    for row in OutcomeTally.objects.filter(tenant=api.tenant):
        totals.update({o.label: getattr(row, o.label) for o in Outcome if getattr(row, o.label)})
    return totals


def test_create_opens_then_aggregates_then_knows_a_duplicate(api: ApiClient) -> None:
    first = post(api, {"trigger_type": "rate_limit", "call_id": "c-1", "cost_delta_cents": "1.5"})
    assert first.status_code == 201
    assert first.json()["outcome"] == "opened"
    second = post(api, {"trigger_type": "rate_limit", "call_id": "c-2"})
    assert (second.status_code, second.json()["outcome"]) == (201, "aggregated")
    third = post(api, {"trigger_type": "rate_limit", "call_id": "c-1"})
    assert (third.status_code, third.json()["outcome"]) == (200, "duplicate")
    assert third.json()["incident"] == second.json()["incident"]
    assert second.json()["incident"]["calls_affected"] == 2
    assert second.json()["incident"]["cost_delta_cents"] == "1.5000"
    assert second.json()["incident"]["group_key"] is None
    assert_consistent(api.tenant.pk, received=3)


def test_create_answers_the_whole_summary(api: ApiClient) -> None:
    answer = post(api, {"trigger_type": "rate_limit", "group_key": "g", "category": "c"}).json()
    assert set(answer["incident"]) == {
        "id",
        "title",
        "status",
        "severity",
        "category",
        "trigger_type",
        "trigger_value",
        "group_key",
        "cause_type",
        "source_type",
        "calls_affected",
        "alerts_count",
        "cost_delta_cents",
        "assignee",
        "started_at",
        "last_seen_at",
        "created_at",
        "acknowledged_at",
        "resolved_at",
        "resolution_method",
        "is_synthetic",
    }
    assert answer["incident"] == api.get("/api/v1/incidents/").json()["results"][0]


def test_create_without_a_call_always_counts_an_alert_and_no_call(api: ApiClient) -> None:
    for _ in range(3):
        post(api, {"trigger_type": "rate_limit"})
    incident = Incident.objects.get()
    assert (incident.alerts_count, incident.calls_affected) == (3, 0)


def test_duplicate_of_a_resolved_incidents_call_is_answered_with_it(api: ApiClient) -> None:
    opened = post(api, {"trigger_type": "a", "call_id": "c"}).json()["incident"]["id"]
    post(api, {"resolution_method": "manual"}, f"/api/v1/incidents/{opened}/resolve/")
    again = post(api, {"trigger_type": "a", "call_id": "c"}).json()
    assert (again["outcome"], again["incident"]["id"]) == ("duplicate", opened)
    assert again["incident"]["status"] == "resolved"
    other = post(api, {"trigger_type": "a", "call_id": "d"}).json()
    assert (other["outcome"], other["incident"]["id"] == opened) == ("opened", False)


def test_create_keeps_every_field(api: ApiClient) -> None:
    sent = {
        "trigger_type": "tool_error",
        "trigger_value": "",
        "group_key": "g ü",
        "call_id": "a/b:c@d+e=f-g_h.i",
        "occurred_at": "2026-01-02T03:04:05.678901+02:00",
        "cost_delta_cents": "000000000012.3456",
        "run_id": "r",
        "agent_id": "agent",
        "model": "m",
        "error_code": "%_\\",
        "error_message": "line\nline 🧯",
        "category": "c",
        "auto_action": "retry",
        "metadata": {"a": [1, 2.5, None, True, "\U0001f525"]},
        "is_synthetic": True,
        "synthetic_scenario_id": "s",
    }
    incident = post(api, sent).json()["incident"]["id"]
    (row,) = api.get(f"/api/v1/incidents/{incident}/alerts/").json()["results"]
    expected = sent | {
        "occurred_at": "2026-01-02T01:04:05.678901Z",
        "cost_delta_cents": "12.3456",
        "outcome": "opened",
        "id": row["id"],
        "created_at": row["created_at"],
    }
    assert row == expected


@pytest.mark.parametrize("case", BAD_ALERTS)
def test_create_refuses(api: ApiClient, case: str) -> None:
    text, pointer, detail = BAD_ALERTS[case]
    answer = post(api, text.encode("utf-8", "surrogatepass"))
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["pointer"].startswith(pointer)
    assert detail in error["detail"]
    assert not Alert.objects.exists()
    assert tallied(api) == {"rejected": 1}


def test_create_names_every_bad_field(api: ApiClient) -> None:
    answer = post(api, {"trigger_type": "A", "call_id": "", "model": 1, "x": 1})
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert sorted(pointers) == ["/call_id", "/model", "/trigger_type", "/x"]


@pytest.mark.parametrize("case", [name for name in MALFORMED if name != "nothing"])
def test_create_refuses_malformed(api: ApiClient, case: str) -> None:
    answer = post(api, MALFORMED[case])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == ""


def test_metadata_of_exactly_16_kib_is_taken(api: ApiClient) -> None:
    metadata = {"k": "x" * (16 * 1024 - 8)}
    assert len(json.dumps(metadata, separators=(",", ":"))) == 16 * 1024
    assert post(api, {"trigger_type": "a", "metadata": metadata}).status_code == 201


@pytest.mark.parametrize(
    ("path", "kind"),
    [(ALERTS, NDJSON), (ALERTS, "text/plain"), (BATCH, "text/csv"), (BATCH, "")],
)
def test_media_types_that_are_not_read(api: ApiClient, path: str, kind: str) -> None:
    answer = post(api, {"trigger_type": "a"}, path, content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_batch_records_the_good_and_names_the_bad(api: ApiClient) -> None:
    good = [{"trigger_type": "rate_limit", "call_id": f"c-{n}"} for n in range(3)]
    bad = [
        json.loads(text) for case, (text, *_) in BAD_ALERTS.items() if case not in NOT_FOR_PYTHON
    ]
    alerts = [good[0], *bad, good[1], good[1], good[2]]
    answer = post(api, {"alerts": alerts}, BATCH).json()
    assert answer["received"] == len(alerts)
    assert answer["opened"] == 1
    assert answer["aggregated"] == 2
    assert answer["duplicate"] == 1
    assert answer["rejected"] == len(bad)
    assert [error["index"] for error in answer["errors"]] == list(range(1, len(bad) + 1))
    assert answer["incidents"] == [str(Incident.objects.get().pk)]
    assert_consistent(api.tenant.pk, received=len(alerts))


def test_batch_with_numbers_that_json_does_not_have_records_the_others(api: ApiClient) -> None:
    body = b'{"alerts": [{"trigger_type": "a"}, {"trigger_type": "a", "metadata": {"x": NaN}}]}'
    answer = post(api, body, BATCH).json()
    assert (answer["opened"], answer["rejected"]) == (1, 1)
    assert answer["errors"][0]["pointer"] == "/metadata/x"


def test_batch_of_bad_ones_only_is_answered_200(api: ApiClient) -> None:
    answer = post(api, {"alerts": [{}, {"x": 1}]}, BATCH)
    assert answer.status_code == 200
    assert (answer.json()["received"], answer.json()["rejected"]) == (2, 2)
    assert answer.json()["incidents"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/alerts"),
        ({"alerts": []}, "/alerts"),
        ({"alerts": {}}, "/alerts"),
        ({"alerts": [{"trigger_type": "a"}], "more": 1}, "/more"),
        ({"alerts": [{"trigger_type": "a"}] * 1001}, "/alerts"),
    ],
)
def test_batch_refuses_what_is_no_batch(api: ApiClient, body: Any, pointer: str) -> None:
    answer = post(api, body, BATCH)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not Alert.objects.exists()


def test_batch_of_a_thousand(api: ApiClient) -> None:
    alerts = [{"trigger_type": "a", "call_id": f"c-{n}"} for n in range(1000)]
    answer = post(api, {"alerts": alerts}, BATCH).json()
    assert (answer["received"], answer["opened"], answer["aggregated"]) == (1000, 1, 999)
    assert Incident.objects.get().severity == 4


def test_lines_are_read_by_their_numbers(api: ApiClient) -> None:
    body = b'{"trigger_type":"a","call_id":"1"}\r\n\n{"x":1}\n{"trigger_type":"a","call_id":"2"}\n'
    answer = post(api, body, BATCH, content_type=NDJSON).json()
    assert (answer["received"], answer["opened"], answer["aggregated"]) == (3, 1, 1)
    assert {error["index"] for error in answer["errors"]} == {2}


@pytest.mark.parametrize("case", BAD_ALERTS)
def test_lines_refuse(api: ApiClient, case: str) -> None:
    text, pointer, detail = BAD_ALERTS[case]
    body = b'{"trigger_type":"good"}\n' + text.encode("utf-8", "surrogatepass")
    answer = post(api, body, BATCH, content_type=NDJSON).json()
    assert (answer["opened"], answer["rejected"]) == (1, 1)
    (error,) = answer["errors"]
    assert error["index"] == 1
    assert error["pointer"].startswith(pointer)
    assert detail in error["detail"]


@pytest.mark.parametrize("case", [name for name in MALFORMED if name != "nothing"])
def test_lines_refuse_malformed(api: ApiClient, case: str) -> None:
    body = MALFORMED[case].replace(b"\n", b"\x0b") + b'\n{"trigger_type":"good"}'
    answer = post(api, body, BATCH, content_type=NDJSON).json()
    assert (answer["opened"], answer["rejected"]) == (1, 1)


def test_lines_over_ten_thousand_are_refused(api: ApiClient) -> None:
    body = b'{"trigger_type":"a"}\n' * 10_001
    answer = post(api, body, BATCH, content_type=NDJSON)
    assert answer.status_code == 400
    assert "10,000" in answer.json()["detail"]


def test_gzip_is_read_and_truncated_gzip_refused(api: ApiClient) -> None:
    packed = gzip.compress(b'{"trigger_type": "a"}')
    zipped: Callable[..., Any] = lambda data: post(  # noqa: E731
        api, data, headers={"Content-Encoding": "gzip"}
    )
    assert zipped(packed).status_code == 201
    for broken in (packed[:-4], packed[:12], b"no gzip", packed + b"more"):
        answer = zipped(broken)
        assert answer.status_code == 400
        assert "gzip" in answer.json()["detail"]
    bomb = gzip.compress(b" " * (16 * 1024 * 1024 + 1))
    assert zipped(bomb).status_code == 413


def test_idempotency_key_repeats_the_first_answer(api: ApiClient) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = post(api, {"trigger_type": "a"}, headers=headers)
    again = post(api, {"trigger_type": "a"}, headers=headers)
    assert first.json() == again.json()
    assert Alert.objects.count() == 1
    other = post(api, {"trigger_type": "b"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_outcomes_past_the_hourly_limit(api: ApiClient) -> None:
    api.tenant.incidents_per_hour = 2
    api.tenant.save()
    outcomes = [
        post(api, {"trigger_type": f"t{n}", "call_id": "same"}).json()["outcome"] for n in range(5)
    ]
    assert outcomes == ["opened", "opened", "overflowed", "overflowed", "overflowed"]
    overflow = Incident.objects.get(trigger_type="rate_limit_overflow")
    assert (overflow.alerts_count, overflow.calls_affected) == (3, 1)
    assert overflow.trigger_value == ">2 incidents/hour"
    assert (overflow.severity, overflow.auto_action) == (3, "aggregate")
    own = set(overflow.alerts.values_list("trigger_type", flat=True))
    assert own == {"t2", "t3", "t4"}
    assert_consistent(api.tenant.pk, received=5)
