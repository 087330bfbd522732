"""Webhooks: what the outbox owes, to whom, and how it gets there."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from standardwebhooks.webhooks import Webhook

from config import clock
from config.actors import COMMAND_LINE, Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod
from incidents.models import (
    Event,
    Incident,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from incidents.services import aggregation, lifecycle, webhooks
from incidents.services.reports import Report
from incidents.services.webhooks import delivering
from tests.concurrency.processes import process_of
from tests.config.api.conftest import ApiClient
from tests.factories.tenancy import TenantFactory
from tests.incidents.senders.receivers import Receiver, eventually
from tests.incidents.services.test_crash import broken

ADDRESS = "/api/v1/webhooks/"
ALL = ["opened", "escalated", "acknowledged", "resolved", "overflowed"]
ADA = Actor(via="key", name="ada")

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_loopback_allowed")]


def endpoint(tenant: Tenant, url: str = "https://hooks.example/x", **given: Any) -> WebhookEndpoint:
    return webhooks.create(
        by=COMMAND_LINE, tenant=tenant, url=url, events=given.pop("events", ALL), **given
    )


def burn(tenant: Tenant, count: int = 1, **given: Any) -> Incident:
    """An incident that so many calls were folded into at once."""
    given.setdefault("trigger_type", "tool_error")
    reports = [Report(call_id=str(uuid.uuid4()), **given) for _ in range(count)]
    absorbed = aggregation.absorb(tenant=tenant, alerts=reports)
    (incident,) = absorbed.incidents.values()
    return incident


def owed(tenant: Tenant) -> list[str]:
    found = WebhookDelivery.objects.filter(tenant=tenant).order_by("created_at", "id")
    return [delivery.kind for delivery in found]


# The outbox


def test_outbox_owes_each_kind_of_event_once(tenant: Tenant) -> None:
    endpoint(tenant)
    Tenant.objects.filter(pk=tenant.pk).update(incidents_per_hour=1)
    tenant.refresh_from_db()
    incident = burn(tenant)
    # Medium from the start; high at 50 calls.
    burn(tenant, 49)
    burn(tenant, 10)
    lifecycle.acknowledge(incident=incident, by=ADA)
    lifecycle.comment(incident=incident, by=ADA, description="hm")
    lifecycle.assign(incident=incident, by=ADA, assignee="ada")
    lifecycle.resolve(incident=incident, by=ADA, method=ResolutionMethod.MANUAL)
    burn(tenant, trigger_type="other")
    assert owed(tenant) == ["opened", "escalated", "acknowledged", "resolved", "overflowed"]
    delivery = WebhookDelivery.objects.filter(kind="opened").get()
    assert (delivery.pk.version, delivery.pk.variant) == (7, uuid.RFC_4122)
    assert abs(int.from_bytes(delivery.pk.bytes[:6]) / 1000 - clock.now().timestamp()) < 60


def test_outbox_is_written_with_the_event_whatever_writes_it(tenant: Tenant) -> None:
    incident = burn(tenant)
    endpoint(tenant)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO incidents_event (id, tenant_id, incident_id, event_type, description, "
            "via, data, created_at) SELECT gen_random_uuid(), tenant_id, id, 'acknowledged', '', "
            "'sql', '{}', now() FROM incidents_incident WHERE id = %s",
            [incident.pk],
        )
    Event.objects.create(
        tenant=tenant, incident=incident, event_type="resolved", via="orm", created_at=clock.now()
    )
    assert sorted(owed(tenant)) == ["acknowledged", "resolved"]
    with transaction.atomic():
        lifecycle.acknowledge(incident=incident, by=ADA)
        assert len(owed(tenant)) == 3
        transaction.set_rollback(True)
    assert len(owed(tenant)) == 2


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, ["opened", "resolved"]),
        ({"events": ["resolved"]}, ["resolved"]),
        ({"events": ["escalated"]}, []),
        ({"min_severity": 2}, ["opened", "resolved"]),
        ({"min_severity": 3}, []),
        ({"trigger_types": ["tool_error", "x"]}, ["opened", "resolved"]),
        ({"trigger_types": ["tool"]}, []),
        ({"categories": ["c"]}, ["opened", "resolved"]),
        ({"categories": ["C"]}, []),
        ({"is_enabled": False}, []),
    ],
)
def test_outbox_owes_what_the_filter_lets_pass(
    tenant: Tenant, given: dict[str, Any], kinds: list[str]
) -> None:
    endpoint(tenant, **given)
    incident = burn(tenant, category="c")
    lifecycle.resolve(incident=incident, by=ADA, method=ResolutionMethod.MANUAL)
    assert owed(tenant) == kinds


def test_outbox_without_a_category_passes_no_filter_of_categories(tenant: Tenant) -> None:
    endpoint(tenant, categories=["c"])
    burn(tenant)
    assert owed(tenant) == []


@pytest.mark.parametrize("has_endpoint", [False, True])
def test_outbox_costs_nothing_where_an_alert_joins(tenant: Tenant, has_endpoint: bool) -> None:
    if has_endpoint:
        endpoint(tenant)
    burn(tenant)
    with broken(None) as ran:
        burn(tenant)
    # Its trigger is on the timeline, to which an alert that joins adds nothing.
    assert not [sql for sql in ran if "incidents_event" in sql or "webhook" in sql]


def test_outbox_is_of_the_tenant_and_of_each_of_its_endpoints(tenant: Tenant) -> None:
    other = TenantFactory.create()
    first, second = endpoint(tenant), endpoint(tenant, events=["opened"])
    endpoint(other)
    incident = burn(tenant)
    assert set(WebhookDelivery.objects.values_list("tenant_id", "endpoint_id", "incident_id")) == {
        (tenant.pk, first.pk, incident.pk),
        (tenant.pk, second.pk, incident.pk),
    }


# Delivering


def test_deliver_signs_what_the_receiver_can_check(tenant: Tenant, receiver: Receiver) -> None:
    made = endpoint(tenant, receiver.url)
    incident = burn(tenant, group_key="ünï", cost_delta_cents="1.5")
    assert webhooks.deliver() == 1
    (received,) = receiver.received
    delivery = WebhookDelivery.objects.get()
    assert received.path == "/hook?x=1"
    assert received.headers["webhook-id"] == str(delivery.pk)
    assert received.headers["content-type"] == "application/json"
    payload = Webhook(made.secret).verify(received.body.decode(), received.headers)
    with pytest.raises(Exception, match="signature"):
        Webhook(made.secret).verify(received.body.decode() + " ", received.headers)
    assert payload["type"] == "incident.opened"
    assert payload["data"]["event"]["event_type"] == "opened"
    told = payload["data"]["incident"]
    assert (told["id"], told["group_key"]) == (str(incident.pk), "ünï")
    assert (told["cost_delta_cents"], told["severity"]) == ("1.5000", "medium")
    assert (delivery.status, delivery.attempts) == ("delivered", 1)
    attempt = delivery.log.get()
    assert (attempt.status_code, attempt.response, attempt.error) == (200, "thanks", None)
    assert webhooks.deliver() == 0


def test_deliver_tells_the_summary_that_the_api_answers(api: ApiClient, receiver: Receiver) -> None:
    endpoint(api.tenant, receiver.url)
    incident = burn(api.tenant, 3, cost_delta_cents="2")
    webhooks.deliver()
    told = json.loads(receiver.received[0].body)["data"]["incident"]
    answered = api.get(f"/api/v1/incidents/{incident.pk}/").json()
    assert {name: answered[name] for name in told} == told
    assert set(told) == set(api.get("/api/v1/incidents/").json()["results"][0])


@pytest.mark.parametrize("status", [300, 302, 400, 404, 410, 500, 503])
def test_deliver_tries_again_later_and_later_and_then_gives_up(
    tenant: Tenant, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    receiver.headers = {"Location": "/elsewhere"}
    endpoint(tenant, receiver.url)
    burn(tenant)
    now = clock.now()
    waits = []
    for _ in range(len(delivering.DELAYS) + 1):
        with clock.pretend(now):
            assert webhooks.deliver() == 0
            # Not due again before its time.
            assert webhooks.deliver() == 0
        delivery = WebhookDelivery.objects.get()
        if delivery.next_attempt_at is not None:
            waits.append((delivery.next_attempt_at - now).total_seconds())
            now = delivery.next_attempt_at
    for wait, seconds in zip(waits, delivering.DELAYS, strict=True):
        assert seconds <= wait <= seconds * 1.1
    assert (delivery.status, delivery.attempts) == ("failed", len(waits) + 1)
    assert delivery.finished_at == now
    numbers = list(delivery.log.order_by("number").values_list("number", "status_code"))
    assert numbers == [(n, status) for n in range(1, len(waits) + 2)]
    # The same bytes every time, each signed for its own moment.
    assert len({one.body for one in receiver.received}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == len(waits) + 1
    assert {one.path for one in receiver.received} == {"/hook?x=1"}


def test_deliver_notes_why_nothing_came_back(tenant: Tenant) -> None:
    endpoint(tenant, "http://127.0.0.1:1/")
    burn(tenant)
    assert webhooks.deliver() == 0
    attempt = WebhookAttempt.objects.get()
    assert (attempt.status_code, attempt.response) == (None, None)
    assert "refused" in (attempt.error or "")


def test_deliver_leaves_a_failing_endpoint_for_the_next_round(
    tenant: Tenant, receiver: Receiver
) -> None:
    failing = endpoint(tenant, "http://127.0.0.1:1/")
    for _ in range(3):
        burn(tenant, trigger_type=f"t{uuid.uuid4().hex[:8]}")
    endpoint(tenant, receiver.url)
    burn(tenant, trigger_type="last")
    assert webhooks.deliver() == 1
    assert WebhookAttempt.objects.filter(delivery__endpoint=failing).count() == 1


def test_deliver_waits_while_an_endpoint_is_not_enabled(tenant: Tenant, receiver: Receiver) -> None:
    made = endpoint(tenant, receiver.url)
    burn(tenant)
    webhooks.update(by=COMMAND_LINE, endpoint=made, changes={"is_enabled": False})
    assert webhooks.deliver() == 0
    webhooks.update(
        by=COMMAND_LINE, endpoint=made, changes={"is_enabled": True, "url": f"{receiver.url}&y=2"}
    )
    assert webhooks.deliver() == 1
    assert receiver.received[0].path == "/hook?x=1&y=2"


def test_deliver_keeps_the_beginning_of_what_was_answered(
    tenant: Tenant, receiver: Receiver
) -> None:
    receiver.answer = b"\xff\0" + b"x" * 100_000
    endpoint(tenant, receiver.url)
    burn(tenant)
    assert webhooks.deliver() == 1
    assert WebhookAttempt.objects.get().response == "\ufffd\ufffd" + "x" * 1998


@pytest.mark.django_db(transaction=True)
def test_deliver_by_many_workers_sends_each_delivery_once(
    tenant: Tenant, receiver: Receiver
) -> None:
    receiver.delay = 0.05
    endpoint(tenant, receiver.url)
    for number in range(12):
        burn(tenant, trigger_type=f"t{number}")
    counts: list[int] = []

    def work() -> None:
        try:
            counts.append(webhooks.deliver())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 12
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert len(ids) == len(set(ids)) == 12
    # They did work beside one another.
    assert receiver.at_once > 1
    assert WebhookDelivery.objects.filter(status="delivered", attempts=1).count() == 12


@pytest.mark.django_db(transaction=True)
def test_deliver_of_a_worker_that_dies_is_done_by_another(
    tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(tenant, receiver.url)
    burn(tenant)

    def die(*args: Any, **given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(delivering, "_note", die)
        with pytest.raises(KeyboardInterrupt):
            webhooks.deliver()
    assert not WebhookAttempt.objects.exists()
    assert webhooks.deliver() == 1
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.django_db(transaction=True)
def test_deliver_of_a_worker_that_is_killed_is_done_by_another_and_not_before(
    tenant: Tenant, receiver: Receiver
) -> None:
    receiver.delay = 60
    endpoint(tenant, receiver.url)
    burn(tenant)
    with process_of(webhooks.deliver) as worker:
        eventually(lambda: receiver.received)
        # While it has the delivery nobody else takes it.
        assert webhooks.deliver() == 0
        assert len(receiver.received) == 1
        worker.kill()
        worker.join()
    receiver.delay = 0
    eventually(webhooks.deliver)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("delivered", 1)


def test_redeliver_sends_the_same_again(tenant: Tenant, receiver: Receiver) -> None:
    endpoint(tenant, receiver.url)
    incident = burn(tenant)
    webhooks.deliver()
    lifecycle.acknowledge(incident=incident, by=ADA)
    webhooks.redeliver(delivery=WebhookDelivery.objects.get(kind="opened"))
    assert webhooks.deliver() == 2
    first, *_ = receiver.received
    again = [
        one for one in receiver.received if one.headers["webhook-id"] == first.headers["webhook-id"]
    ]
    assert len(again) == 2
    assert again[0].body == again[1].body


def test_forget_deletes_what_was_over_long_ago(tenant: Tenant, receiver: Receiver) -> None:
    endpoint(tenant, receiver.url)
    burn(tenant)
    with clock.pretend(clock.now() - timedelta(days=29)):
        burn(tenant, trigger_type="other")
    webhooks.deliver()
    WebhookDelivery.objects.filter(incident__trigger_type="other").update(
        finished_at=clock.now() - timedelta(days=31)
    )
    assert webhooks.forget() == 1
    assert WebhookDelivery.objects.count() == WebhookAttempt.objects.count() == 1
    assert webhooks.forget() == 0


# Over HTTP


@pytest.fixture
def manage(api: ApiClient) -> Callable[..., Any]:
    def send(method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        return getattr(api, method)(f"{ADDRESS}{path}", data, content_type="application/json")

    return send


def test_webhooks_are_made_changed_and_deleted(
    api: ApiClient, manage: Callable[..., Any], receiver: Receiver
) -> None:
    made = manage(
        "post",
        "",
        {"url": receiver.url, "events": ["resolved", "opened", "opened"], "min_severity": "low"},
    )
    assert made.status_code == 201, made.content
    answer = made.json()
    secret = answer.pop("secret")
    assert secret.startswith("whsec_")
    assert (answer["events"], answer["min_severity"]) == (["opened", "resolved"], "low")
    pk = answer["id"]
    assert manage("get", f"{pk}/").json() == answer
    assert api.get(ADDRESS).json()["results"] == [answer]
    changed = manage("patch", f"{pk}/", {"min_severity": None, "trigger_types": ["a"]}).json()
    assert (changed["min_severity"], changed["trigger_types"]) == (None, ["a"])
    assert changed["updated_at"] > answer["updated_at"]
    rotated = manage("post", f"{pk}/rotate-secret/").json()["secret"]
    assert rotated != secret
    assert WebhookEndpoint.objects.get().secret == rotated
    burn(api.tenant, trigger_type="a")
    webhooks.deliver()
    Webhook(rotated).verify(receiver.received[0].body.decode(), receiver.received[0].headers)
    assert manage("delete", f"{pk}/").status_code == 204
    assert manage("get", f"{pk}/").status_code == 404
    assert not WebhookDelivery.objects.exists()
    assert not WebhookAttempt.objects.exists()


def test_webhooks_show_their_deliveries_and_send_again(
    api: ApiClient, manage: Callable[..., Any], receiver: Receiver
) -> None:
    made = endpoint(api.tenant, receiver.url)
    receiver.status = 500
    burn(api.tenant)
    webhooks.deliver()
    path = f"{made.pk}/deliveries/"
    (row,) = manage("get", path).json()["results"]
    assert (row["kind"], row["status"], row["attempts"]) == ("opened", "pending", 1)
    assert manage("get", f"{path}?status=failed").json()["results"] == []
    again = f"{path}{row['id']}/redeliver/"
    assert (manage("post", again).status_code, manage("post", again).json()["code"]) == (
        409,
        "delivery_pending",
    )
    receiver.status = 200
    with clock.pretend(clock.now() + timedelta(seconds=10)):
        webhooks.deliver()
    detail = manage("get", f"{path}{row['id']}/").json()
    assert [one["status_code"] for one in detail["log"]] == [200, 500]
    assert json.loads(detail["body"])["type"] == "incident.opened"
    assert manage("post", again).json()["status"] == "pending"
    assert webhooks.deliver() == 1
    assert WebhookAttempt.objects.count() == 3


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "ftp://x.example/"}, "/url"),
        ({"url": "https://"}, "/url"),
        ({"url": "https://user:word@x.example/"}, "/url"),
        ({"url": "https://x.example/#there"}, "/url"),
        ({"url": "https://x.example:99999/"}, "/url"),
        ({"url": "https://x.example/\r\nX: y"}, "/url"),
        ({"url": "https://ü.example/"}, "/url"),
        ({"url": "https://[::1/"}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["closed"]}, "/events/0"),
        ({"events": None}, "/events"),
        ({"min_severity": 3}, "/min_severity"),
        ({"trigger_types": ["Not A Slug"]}, "/trigger_types/0"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_webhooks_refuse_by_pointer(
    manage: Callable[..., Any], change: dict[str, Any], pointer: str
) -> None:
    good = {"url": "https://x.example/", "events": ["opened"]}
    answer = manage("post", "", good | change)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not WebhookEndpoint.objects.exists()
    made = manage("post", "", good).json()
    answer = manage("patch", f"{made['id']}/", change)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_webhooks_are_at_most_fifty(
    manage: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incidents.services.webhooks.endpoints.MAX_ENDPOINTS", 1)
    good = {"url": "https://x.example/", "events": ["opened"]}
    assert manage("post", "", good).status_code == 201
    assert manage("post", "", good).status_code == 400


def test_webhooks_of_another_tenant_do_not_exist(
    api: ApiClient, manage: Callable[..., Any]
) -> None:
    other = TenantFactory.create()
    theirs, mine = endpoint(other), endpoint(api.tenant)
    burn(other)
    delivery = WebhookDelivery.objects.get()
    for method, path in (
        ("get", f"{theirs.pk}/"),
        ("patch", f"{theirs.pk}/"),
        ("delete", f"{theirs.pk}/"),
        ("post", f"{theirs.pk}/rotate-secret/"),
        ("get", f"{theirs.pk}/deliveries/"),
        ("get", f"{theirs.pk}/deliveries/{delivery.pk}/"),
        ("get", f"{mine.pk}/deliveries/{delivery.pk}/"),
        ("post", f"{mine.pk}/deliveries/{delivery.pk}/redeliver/"),
    ):
        assert manage(method, path, {} if method == "patch" else None).status_code == 404
    assert [row["id"] for row in api.get(ADDRESS).json()["results"]] == [str(mine.pk)]
    assert WebhookEndpoint.objects.count() == 2


def test_deliveries_hold_no_time_zone_but_utc(tenant: Tenant, receiver: Receiver) -> None:
    endpoint(tenant, receiver.url)
    burn(tenant, occurred_at=datetime(2026, 1, 1, tzinfo=UTC))
    webhooks.deliver()
    told = json.loads(receiver.received[0].body)["data"]["incident"]
    assert told["started_at"] == "2026-01-01T00:00:00Z"
