"""Whatever is sent is taken or refused: never a 500, and nothing of what was refused is kept."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.models import (
    Alert,
    EndedAlert,
    Event,
    Evidence,
    Failure,
    Incident,
    Run,
    SenderSettings,
    SpanStep,
    Step,
    Trace,
)
from incidents.senders import cloudevents, genai, otlp
from tests.config.api.conftest import ApiClient
from tests.incidents.senders.spans import as_json, attributes_of, protobuf, request, span
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db

KEPT = (Alert, EndedAlert, Event, Evidence, Failure, Incident, Run, SpanStep, Step, Trace)
SECRET = "secret"

some = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def wide_open(api: ApiClient) -> ApiClient:
    """A tenant that keeps and resolves whatever it can, so that all code is reached."""
    SenderSettings.objects.create(
        tenant=api.tenant, keep_prompts=True, resolve_on_resolved=True, sentry_secret=SECRET
    )
    return api


def counts() -> list[int]:
    return [model.objects.count() for model in KEPT]


def check(api: ApiClient, send: Callable[[], Any]) -> int:
    """Sends something, which must be taken or refused as a whole; the status."""
    before = counts()
    answer = send()
    status: int = answer.status_code
    assert status in (200, 201, 400, 413, 415), answer.content
    if status >= 400:
        assert counts() == before
    else:
        again = counts()
        assert send().status_code == 200
        # What was taken is known again, unless it could not be told apart from another.
        assert counts() == again
    assert_consistent(api.tenant.pk)
    return status


texts = st.text(max_size=30) | st.sampled_from(["", "\0", "é", "x" * 3000, "1", "2026-01-01"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)

# OTLP

names = st.sampled_from(
    [*sorted(genai.NAMES), *(f"{prefix}x" for prefix in genai.CONTENT), "other", "\0"]
)
said = st.recursive(
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats()
    | st.binary(max_size=8)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
attributes = st.dictionaries(names, said, max_size=8)
ids = st.sampled_from([b"12345678", b"abcdefgh", b"", bytes(8), b"x"])
u64 = st.integers(min_value=0, max_value=2**64 - 1)


@st.composite
def spans(draw: st.DrawFn) -> Any:
    made = span(
        trace=draw(st.sampled_from([b"a" * 16, b"b" * 16, b"", bytes(16)])),
        id=draw(ids),
        parent=draw(ids),
        name=draw(texts),
        attributes=draw(attributes),
        lasts=draw(st.sampled_from([0, 1, 59, -1, 1000])),
    )
    if draw(st.booleans()):
        made.status.code = draw(st.sampled_from([0, 1, 2, 77]))
        made.status.message = draw(texts)
    if draw(st.booleans()):
        made.end_time_unix_nano = draw(u64)
    if draw(st.booleans()):
        made.start_time_unix_nano = draw(u64)
    for name in draw(st.lists(st.sampled_from(["exception", "gen_ai.choice", ""]), max_size=2)):
        made.events.add(name=name).attributes.extend(attributes_of(draw(attributes)))
    return made


def post(api: Client, data: bytes, kind: str, to: str = "/v1/traces") -> Any:
    # The client names no type for an empty body.
    return api.post(to, data or b"\n", content_type=kind)


@some
@given(many=st.lists(spans(), max_size=4), service=st.none() | texts)
def test_otlp_of_odd_spans_in_protobuf(
    wide_open: ApiClient, many: list[Any], service: str | None
) -> None:
    data = protobuf(*many, service=service)
    assert check(wide_open, lambda: post(wide_open, data, otlp.PROTOBUF)) in (200, 400)


@some
@given(many=st.lists(spans(), max_size=4), service=st.none() | texts)
def test_otlp_of_odd_spans_in_json(
    wide_open: ApiClient, many: list[Any], service: str | None
) -> None:
    data = as_json(*many, service=service)
    assert check(wide_open, lambda: post(wide_open, data, otlp.JSON)) == 200


@some
@given(data=st.binary(max_size=200))
def test_otlp_of_any_bytes(wide_open: ApiClient, data: bytes) -> None:
    for kind in (otlp.PROTOBUF, otlp.JSON):
        check(wide_open, lambda kind=kind: post(wide_open, data, kind))


@some
@given(
    whole=spans(),
    places=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=5),
    cut=st.integers(0, 400),
)
def test_otlp_of_broken_protobuf(
    wide_open: ApiClient, whole: Any, places: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(request(whole).SerializeToString())
    for place, byte in places:
        data[place % len(data)] = byte
    for broken in (bytes(data), bytes(data[:cut])):
        check(wide_open, lambda broken=broken: post(wide_open, broken, otlp.PROTOBUF))


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON value."""
    found = [path]
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places_of(inner, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    changed = copy.deepcopy(value)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = by
    return changed


@st.composite
def altered(draw: st.DrawFn, value: Any) -> bytes:
    """A JSON text of a good value in which one place, or two, hold something else."""
    for _ in range(draw(st.integers(1, 2))):
        value = replaced(value, draw(st.sampled_from(places_of(value))), draw(values))
    text = json.dumps(value)
    return text.encode("utf-8", "surrogatepass")


OTLP_JSON = json.loads(
    as_json(
        span(
            trace=b"a" * 16,
            id=b"12345678",
            attributes={"gen_ai.usage.input_tokens": 1, "content": ["x", {"k": 1.5}]},
            exception={"exception.type": "E"},
        ),
        service="s",
    )
)


@some
@given(data=altered(OTLP_JSON))
def test_otlp_of_altered_json(wide_open: ApiClient, data: bytes) -> None:
    check(wide_open, lambda: post(wide_open, data, otlp.JSON))


# The others

ALERTMANAGER = {
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "alerts": [
        {
            "status": status,
            "labels": {"alertname": "A", "severity": "critical", "run_id": "r"},
            "annotations": {"summary": "s", "description": "d"},
            "startsAt": "2024-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://x.example",
            "fingerprint": fingerprint,
        }
        for status, fingerprint in (("firing", "a"), ("resolved", "b"))
    ],
}
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "t",
    "time": "2024-01-01T00:00:00Z",
    "subject": "s",
    "data": {"run_id": "r", "cost_delta_cents": "1.5", "severity": "high", "category": "c"},
}
SENTRY = {
    "action": "triggered",
    "data": {
        "event": {
            "event_id": "e",
            "issue_id": "1",
            "title": "t",
            "culprit": "c",
            "level": "error",
            "datetime": "2024-01-01T00:00:00Z",
            "timestamp": 1.5,
            "metadata": {"type": "E", "value": "v"},
            "tags": [["run_id", "r"]],
        },
        "triggered_rule": "rule",
    },
}


@some
@given(data=altered(ALERTMANAGER))
def test_alertmanager_of_altered_notifications(wide_open: ApiClient, data: bytes) -> None:
    address = "/api/v1/senders/alertmanager/"
    check(wide_open, lambda: post(wide_open, data, "application/json", address))


@some
@given(data=altered(EVENT), batch=st.booleans())
def test_cloudevents_of_altered_events(wide_open: ApiClient, data: bytes, batch: bool) -> None:
    kind = cloudevents.BATCH if batch else cloudevents.STRUCTURED
    # With a good one before it, which must not be kept when the batch is refused.
    body = b"[%s, %s]" % (json.dumps(EVENT | {"id": uuid4().hex}).encode(), data) if batch else data
    address = "/api/v1/senders/cloudevents/"
    check(wide_open, lambda: post(wide_open, body, kind, address))


header = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)


@some
@given(
    attributes=st.dictionaries(
        st.sampled_from(["id", "source", "type", "time", "subject", "severity", "run_id"]), header
    ),
    data=st.binary(max_size=30) | altered(EVENT["data"]),
    kind=st.sampled_from(["application/json", "text/plain", "image/png", "x/y+json"]),
)
def test_cloudevents_of_any_headers(
    wide_open: ApiClient, attributes: dict[str, str], data: bytes, kind: str
) -> None:
    named = {"specversion": "1.0", "id": "i", "source": "s", "type": "t"} | attributes

    def send() -> Any:
        return wide_open.post(
            "/api/v1/senders/cloudevents/",
            data or b"\n",
            content_type=kind,
            headers={f"ce-{name}": value for name, value in named.items()},
        )

    check(wide_open, send)


@some
@given(data=altered(SENTRY))
def test_sentry_of_altered_events(wide_open: ApiClient, data: bytes) -> None:
    signed = hmac.new(SECRET.encode(), data, hashlib.sha256).hexdigest()

    def send() -> Any:
        return Client().post(
            f"/api/v1/senders/sentry/{wide_open.key.prefix}/",
            data,
            content_type="application/json",
            headers={"Sentry-Hook-Signature": signed},
        )

    check(wide_open, send)


def test_the_unaltered_ones_are_taken(wide_open: ApiClient) -> None:
    now = datetime.now(UTC)
    assert now.year >= 2025
    for path, body, kind in (
        ("/v1/traces", OTLP_JSON, otlp.JSON),
        ("/api/v1/senders/alertmanager/", ALERTMANAGER, "application/json"),
        ("/api/v1/senders/cloudevents/", EVENT, cloudevents.STRUCTURED),
    ):
        assert check(
            wide_open, lambda p=path, b=body, k=kind: post(wide_open, json.dumps(b).encode(), k, p)
        ) in (200, 201)
    assert Incident.objects.count() == 3
