"""Webhooks, deliveries and senders in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from config import clock
from config.actors import COMMAND_LINE
from config.tenancy.models import Tenant
from incidents.enums import WebhookEvent
from incidents.models import SenderSettings, WebhookDelivery, WebhookEndpoint
from incidents.services import webhooks
from tests.factories.people import incident, person

pytestmark = pytest.mark.django_db

GOOD = {"url": "https://hooks.example/x", "events": ["opened", "resolved"], "is_enabled": "on"}


@pytest.fixture
def keeper(tenant: Tenant, client: Client) -> Client:
    client.force_login(person("administrator", tenant, name="grace"))
    return client


def address(model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:incidents_{model}_{page}", args=args)


def messages_of(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_webhook_is_made_with_its_secret_shown_once(keeper: Client, tenant: Tenant) -> None:
    answer = keeper.post(
        address("webhookendpoint", "add"),
        GOOD | {"tenant": tenant.pk, "categories": "one\n two \n", "min_severity": "3"},
        follow=True,
    )
    made = WebhookEndpoint.objects.get()
    assert (made.events, made.categories) == (["opened", "resolved"], ["one", "two"])
    assert (made.tenant_id, made.min_severity) == (tenant.pk, 3)
    assert made.secret in messages_of(answer)
    page = keeper.get(address("webhookendpoint", "change", made.pk))
    assert made.secret not in page.content.decode()
    keeper.post(
        address("webhookendpoint", "change", made.pk), GOOD | {"url": "https://other.example/"}
    )
    made.refresh_from_db()
    assert (made.url, made.categories) == ("https://other.example/", [])
    before = made.secret
    answer = keeper.post(
        address("webhookendpoint", "changelist"),
        {"action": "rotate_secret", "_selected_action": [str(made.pk)]},
        follow=True,
    )
    made.refresh_from_db()
    assert made.secret != before
    assert made.secret in messages_of(answer)


@pytest.mark.parametrize(
    "wrong", [{"url": "ftp://x"}, {"events": []}, {"categories": "Not A Slug"}]
)
def test_webhook_form_refuses(keeper: Client, tenant: Tenant, wrong: dict[str, Any]) -> None:
    answer = keeper.post(address("webhookendpoint", "add"), GOOD | {"tenant": tenant.pk} | wrong)
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == list(wrong)
    assert not WebhookEndpoint.objects.exists()


def owed(tenant: Tenant) -> WebhookDelivery:
    webhooks.create(by=COMMAND_LINE, tenant=tenant, url="http://127.0.0.1:1/", events=["opened"])  # type: ignore[list-item]
    incident(tenant)
    webhooks.deliver()
    WebhookDelivery.objects.update(status="failed", next_attempt_at=None, finished_at=clock.now())
    return WebhookDelivery.objects.get()


def test_delivery_shows_its_log_and_is_sent_again(keeper: Client, tenant: Tenant) -> None:
    delivery = owed(tenant)
    page = keeper.get(address("webhookdelivery", "change", delivery.pk)).content.decode()
    assert "its network is not among those allowed" in page
    assert "incident.opened" in page
    again = {"action": "redeliver", "_selected_action": [str(delivery.pk)]}
    keeper.post(address("webhookdelivery", "changelist"), again)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("pending", 0)
    answer = keeper.post(address("webhookdelivery", "changelist"), again, follow=True)
    assert "The delivery is pending." in messages_of(answer)


def test_viewer_can_look_and_not_touch(tenant: Tenant, client: Client) -> None:
    delivery = owed(tenant)
    client.force_login(person("viewer", tenant))
    for model, one in (("webhookdelivery", delivery.pk), ("webhookendpoint", delivery.endpoint_id)):
        assert client.get(address(model, "changelist")).status_code == 200
        page = client.get(address(model, "change", one))
        assert page.status_code == 200
        assert delivery.endpoint.secret not in page.content.decode()
    assert client.get(address("webhookendpoint", "add")).status_code == 403
    client.post(
        address("webhookdelivery", "changelist"),
        {"action": "redeliver", "_selected_action": [str(delivery.pk)]},
    )
    delivery.refresh_from_db()
    assert delivery.status == "failed"


def test_people_see_their_tenants_alone(keeper: Client, other: Tenant) -> None:
    theirs = owed(other)
    SenderSettings.objects.create(tenant=other, sentry_secret="hush")
    for model, one in (
        ("webhookdelivery", theirs.pk),
        ("webhookendpoint", theirs.endpoint_id),
        ("sendersettings", other.pk),
    ):
        assert other.pk not in keeper.get(address(model, "changelist")).content.decode()
        assert keeper.get(address(model, "change", one)).status_code in (302, 403, 404)
    keeper.post(address("webhookendpoint", "add"), GOOD | {"tenant": other.pk})
    assert WebhookEndpoint.objects.count() == 1


def test_senders_keep_their_secret_hidden(keeper: Client, tenant: Tenant) -> None:
    keeper.post(
        address("sendersettings", "add"),
        {"tenant": tenant.pk, "keep_prompts": "on", "sentry_secret": "hush hush"},
    )
    settings = SenderSettings.objects.get()
    assert (settings.keep_prompts, settings.sentry_secret) == (True, "hush hush")
    assert settings.redaction_patterns is None
    page = address("sendersettings", "change", tenant.pk)
    assert "hush hush" not in keeper.get(page).content.decode()
    keeper.post(page, {"redaction_patterns": "a+\nb,c", "sentry_secret": ""})
    settings.refresh_from_db()
    assert (settings.keep_prompts, settings.sentry_secret) == (False, "hush hush")
    assert settings.redaction_patterns == ["a+", "b,c"]
    refused = keeper.post(page, {"redaction_patterns": "ok\n(", "sentry_secret": ""})
    assert "Pattern 2 is not a pattern of RE2" in refused.content.decode()


def test_webhook_is_deleted_with_a_count_of_its_deliveries(tenant: Tenant, client: Client) -> None:
    client.force_login(person(None, name="root"))
    endpoint = webhooks.create(
        by=COMMAND_LINE, tenant=tenant, url=GOOD["url"], events=[WebhookEvent.OPENED]
    )
    for number in range(3):
        incident(tenant, f"{number}")
    page = address("webhookendpoint", "delete", endpoint.pk)
    asked = client.get(page)
    assert "its log: 3 deliveries" in asked.content.decode()
    client.post(page, {"post": "yes"})
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_webhook_is_not_deleted_by_who_only_looks(tenant: Tenant, client: Client) -> None:
    endpoint = webhooks.create(
        by=COMMAND_LINE, tenant=tenant, url=GOOD["url"], events=[WebhookEvent.OPENED]
    )
    client.force_login(person("viewer", tenant, name="vera"))
    assert (
        client.post(address("webhookendpoint", "delete", endpoint.pk), {"post": "yes"}).status_code
        == 403
    )
    assert WebhookEndpoint.objects.exists()
