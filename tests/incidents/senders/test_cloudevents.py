"""CloudEvents, as the cloudevents package writes them, and every way to get one wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

from config.errors import Invalid, UnsupportedMediaType
from incidents.models import Alert, Incident
from incidents.senders import cloudevents
from tests.config.api.conftest import ApiClient
from tests.incidents.senders.conftest import Served
from tests.incidents.services.checks import assert_consistent

ADDRESS = "/api/v1/senders/cloudevents/"
NOW = datetime.now(UTC)
EVENT = {"specversion": "1.0", "id": "1", "source": "/agents/x", "type": "com.example.failed"}


def made(id_: str = "e-1", **attributes: Any) -> CloudEvent:
    return CloudEvent(
        attributes={
            "id": id_,
            "source": "https://example.com/agents/ünï",
            "type": "com.example.agent.failed",
            "time": NOW,
            "datacontenttype": "application/json",
            "specversion": "1.0",
            **attributes,
        },
        data={
            "run_id": "run-1",
            "error_code": "AGENT_CRASH",
            "message": "it fell over",
            "severity": "critical",
            "cost_delta_cents": "12.5",
            "model": {"name": "not a text"},
        },
    )


def posted(served: Served, message: http.HTTPMessage) -> requests.Response:
    return requests.post(
        f"{served.url}{ADDRESS}",
        data=message.body,
        headers={**message.headers, "Authorization": f"Bearer {served.bearer}"},
        timeout=10,
    )


def test_cloudevents_package_in_every_mode_is_one_event(served: Served) -> None:
    first = posted(served, http.to_binary_event(made()))
    assert first.status_code == 201, first.text
    assert first.json()["outcome"] == "opened"
    again = posted(served, http.to_structured_event(made()))
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    # Its type is no part of an event's identity; its source is.
    other_type = posted(served, http.to_structured_event(made(type="com.example.other")))
    assert other_type.json()["outcome"] == "duplicate"
    elsewhere = posted(served, http.to_binary_event(made(source="/elsewhere")))
    assert elsewhere.json()["outcome"] == "aggregated"
    alert = Alert.objects.get(trigger_value="https://example.com/agents/ünï")
    assert (alert.trigger_type, alert.group_key) == ("cloudevent", "com.example.agent.failed")
    assert (alert.run_id, alert.error_code, alert.model) == ("run-1", "AGENT_CRASH", None)
    assert abs(alert.occurred_at - NOW) < timedelta(milliseconds=1)
    incident = Incident.objects.get()
    assert incident.title == "com.example.agent.failed: it fell over"
    assert (incident.get_severity_display(), incident.cause_type) == ("critical", "system")
    assert_consistent(served.tenant.pk, received=4)


def test_cloudevents_batch_takes_the_good_ones(api: ApiClient) -> None:
    batch = [EVENT, EVENT | {"id": ""}, EVENT | {"id": "2"}, 7, EVENT]
    answer = api.post(ADDRESS, json.dumps(batch), content_type=cloudevents.BATCH)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["received"] == 5
    assert (found["opened"], found["aggregated"]) == (1, 1)
    assert (found["duplicate"], found["rejected"]) == (1, 2)
    assert [(e["index"], e["pointer"]) for e in found["errors"]] == [(1, "/id"), (3, "")]
    assert_consistent(api.tenant.pk, received=5)


def test_cloudevents_batch_may_be_empty_but_must_be_one(api: ApiClient) -> None:
    empty = api.post(ADDRESS, "[]", content_type=cloudevents.BATCH)
    assert (empty.status_code, empty.json()["received"]) == (200, 0)
    for body in ("{}", "[" + "7," * 10_000 + "7]"):
        refused = api.post(ADDRESS, body, content_type=cloudevents.BATCH)
        assert [error["pointer"] for error in refused.json()["errors"]] == [""]
    assert_consistent(api.tenant.pk, received=2)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": None}, "/specversion"),
        ({"id": 1}, "/id"),
        ({"source": ""}, "/source"),
        ({"source": "a b"}, "/source"),
        ({"type": []}, "/type"),
        ({"time": "2026-01-01T00:00:00"}, "/time"),
        ({"time": 1}, "/time"),
        ({"time": (NOW + timedelta(hours=1)).isoformat()}, "/time"),
        ({"id": "\0"}, "/id"),
    ],
)
def test_cloudevents_refuses_by_pointer(
    api: ApiClient, change: dict[str, Any], pointer: str
) -> None:
    answer = api.post(ADDRESS, json.dumps(EVENT | change), content_type=cloudevents.STRUCTURED)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not Alert.objects.exists()
    assert_consistent(api.tenant.pk, received=1)


def test_read_without_any_mode_is_unsupported() -> None:
    with pytest.raises(UnsupportedMediaType):
        cloudevents.read(b"{}", headers={}, media_type="application/json", at=NOW)


def binary(headers: dict[str, str], body: bytes, media_type: str) -> cloudevents.Events:
    named = {f"ce-{name}": value for name, value in headers.items()}
    return cloudevents.read(body, headers=named, media_type=media_type, at=NOW)


def test_read_binary_takes_data_of_other_types() -> None:
    (text,) = binary(EVENT, b"it \xff fell", "text/plain").reports
    assert b"it \xef\xbf\xbd fell" in text.metadata
    (image,) = binary(EVENT, b"\x89PNG", "image/png").reports
    assert b"PNG" not in image.metadata


@pytest.mark.parametrize(
    ("headers", "body", "pointer"),
    [
        (EVENT | {"id": "%ff"}, b"", "/id"),
        (EVENT | {"id": "\xff"}, b"", "/id"),
        (EVENT | {"id": "%00"}, b"", "/id"),
        (EVENT, b"{", "/data"),
        (EVENT, b'{"a": NaN}', "/data/a"),
    ],
)
def test_read_binary_refuses_by_pointer(headers: Any, body: bytes, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        binary(headers, body, "application/json")
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_read_keeps_long_identities_apart() -> None:
    calls = set()
    for end in ("1", "2"):
        event = json.dumps(EVENT | {"id": "x" * 500 + end}).encode()
        (report,) = cloudevents.read(
            event, headers={}, media_type=cloudevents.STRUCTURED, at=NOW
        ).reports
        assert len(report.call_id or "") == 400
        calls.add(report.call_id)
    assert len(calls) == 2
