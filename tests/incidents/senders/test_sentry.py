"""Sentry's issue alerts: signed, or refused."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from django.test import Client

from config.actors import COMMAND_LINE
from config.tenancy.services import keys
from incidents.models import Alert, Incident, SenderSettings
from tests.config.api.conftest import ApiClient
from tests.factories.tenancy import TenantFactory, bearer, issue_key
from tests.incidents.services.checks import assert_consistent

SECRET = "the client secret of an internal integration"
EVENT = {
    "event_id": "e4874d664c3540c1a32eab185f12c5ab",
    "issue_id": "1170820242",
    "issue_url": "https://sentry.io/api/0/issues/1170820242/",
    "web_url": "https://sentry.io/organizations/x/issues/1170820242/",
    "title": "ReferenceError: heck is not defined",
    "culprit": "?(<anonymous>)",
    "level": "error",
    "datetime": "2024-11-01T00:00:00.123000Z",
    "timestamp": 1730419200.123,
    "metadata": {"type": "ReferenceError", "value": "heck is not defined"},
    "tags": [["run_id", "run-7"], ["browser", "Chrome 75"], ["odd"], 7],
}


@pytest.fixture
def prefix(api: ApiClient) -> str:
    SenderSettings.objects.create(tenant=api.tenant, sentry_secret=SECRET)
    return api.key.prefix


def hook(**changes: Any) -> dict[str, Any]:
    return {
        "action": "triggered",
        "installation": {"uuid": "a8e5d37a"},
        "data": {"event": EVENT | changes, "triggered_rule": "Very Important Alert Rule!"},
        "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
    }


def send(
    prefix: str,
    body: Any,
    *,
    secret: str = SECRET,
    resource: str = "event_alert",
    signature: str | None = None,
) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return Client().post(
        f"/api/v1/senders/sentry/{prefix}/",
        data,
        content_type="application/json",
        headers={
            "Sentry-Hook-Resource": resource,
            "Sentry-Hook-Signature": signed if signature is None else signature,
            "Sentry-Hook-Timestamp": "1730419201",
            "Request-ID": "x",
        },
    )


def test_sentry_opens_and_knows_its_event_again(api: ApiClient, prefix: str) -> None:
    first = send(prefix, hook())
    assert first.status_code == 201, first.content
    assert first.json()["outcome"] == "opened"
    again = send(prefix, hook())
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    assert send(prefix, hook(event_id="another")).json()["outcome"] == "aggregated"
    alert = Alert.objects.get(call_id=EVENT["event_id"])
    assert (alert.tenant_id, alert.trigger_type) == (api.tenant.pk, "sentry")
    assert (alert.group_key, alert.run_id) == ("1170820242", "run-7")
    assert (alert.error_code, alert.error_message) == ("ReferenceError", "heck is not defined")
    assert alert.trigger_value == "Very Important Alert Rule!"
    assert alert.metadata["tags"] == {"run_id": "run-7", "browser": "Chrome 75"}
    incident = Incident.objects.get()
    assert (incident.title, incident.get_severity_display()) == (EVENT["title"], "high")
    assert_consistent(api.tenant.pk, received=3)


@pytest.mark.parametrize(
    "given",
    [
        {"secret": "another"},
        {"secret": ""},
        {"secret": "none"},
        {"signature": ""},
        {"signature": "é"},
        {"signature": "0" * 64},
    ],
)
def test_sentry_refuses_what_is_not_signed_by_the_tenant(
    api: ApiClient, prefix: str, given: dict[str, str]
) -> None:
    answer = send(prefix, hook(), **given)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_key"
    assert not Alert.objects.exists()


def test_sentry_refuses_alike_whatever_is_wrong(api: ApiClient, prefix: str) -> None:
    without_secret, _ = issue_key(TenantFactory.create())
    revoked, _ = issue_key(api.tenant)
    keys.revoke(by=COMMAND_LINE, prefix=revoked.prefix)
    answers = [
        send("unknown", hook()),
        send("with%00nul", hook()),
        send("x" * 200, hook()),
        send(without_secret.prefix, hook()),
        send(without_secret.prefix, hook(), secret=""),
        send(without_secret.prefix, hook(), secret="none"),
        send(revoked.prefix, hook()),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


def test_sentry_needs_a_key_that_may_ingest(api: ApiClient, prefix: str) -> None:
    reader, _ = issue_key(api.tenant, scopes=["read"])
    assert send(reader.prefix, hook()).status_code == 403


def test_sentry_by_a_bearer_key_goes_by_its_own_prefix_only(api: ApiClient, prefix: str) -> None:
    stranger, plaintext = issue_key(TenantFactory.create())
    for address, status in ((prefix, 404), (stranger.prefix, 201)):
        answer = Client(headers=bearer(plaintext)).post(
            f"/api/v1/senders/sentry/{address}/", hook(), content_type="application/json"
        )
        assert answer.status_code == status
    assert Alert.objects.get().tenant_id == stranger.tenant_id


def test_sentry_takes_other_hooks_and_does_nothing(api: ApiClient, prefix: str) -> None:
    answer = send(prefix, {"action": "created", "data": {}}, resource="installation")
    assert (answer.status_code, answer.json()) == (200, {"outcome": None, "incident": None})
    assert_consistent(api.tenant.pk, received=0)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{", ""),
        (b"[]", "/data/event"),
        (b'{"data": []}', "/data/event"),
        (b'{"data": {"event": 1}}', "/data/event"),
        (hook(event_id=""), "/data/event/event_id"),
        (hook(datetime="then"), "/data/event/timestamp"),
        (hook(datetime=None, timestamp=-1), "/data/event/timestamp"),
        (hook(datetime=None, timestamp=1e300), "/data/event/timestamp"),
        (hook(datetime="2100-01-01T00:00:00Z"), "/data/event/datetime"),
        (hook(title="\0"), "/data/event/title"),
    ],
)
def test_sentry_refuses_by_pointer(api: ApiClient, prefix: str, body: Any, pointer: str) -> None:
    answer = send(prefix, body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert_consistent(api.tenant.pk, received=1)


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": None, "message": "words"},
        {"metadata": [], "tags": {}, "level": 7},
        {"issue_id": None, "title": None},
        {"issue_id": 12, "datetime": None, "timestamp": None},
        {"tags": None, "culprit": 1, "release": []},
    ],
)
def test_sentry_takes_what_is_merely_odd(api: ApiClient, prefix: str, odd: dict[str, Any]) -> None:
    assert send(prefix, hook(**odd)).status_code == 201
