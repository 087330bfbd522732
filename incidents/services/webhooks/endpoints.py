"""Endpoints: what an administrator of a tenant makes, changes and deletes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.db import transaction

from config import clock
from config.actors import Actor
from config.database.statements import run
from config.errors import Invalid
from config.operations import audit
from config.tenancy.models import Tenant
from incidents.enums import Severity, WebhookEvent
from incidents.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from incidents.services.webhooks import signing
from incidents.services.webhooks.transport import url_error

# Every event is held against every endpoint of its tenant.
MAX_ENDPOINTS: Final = 50
# The first half of the advisory lock's key: the word "hook" in ASCII.
_ENDPOINTS_LOCK: Final = 0x686F6F6B

CHANGEABLE: Final = frozenset(
    {
        "url",
        "description",
        "events",
        "min_severity",
        "trigger_types",
        "categories",
        "is_enabled",
    }
)


def create(
    *,
    by: Actor,
    tenant: Tenant,
    url: str,
    events: Sequence[WebhookEvent],
    description: str = "",
    min_severity: Severity | None = None,
    trigger_types: Sequence[str] = (),
    categories: Sequence[str] = (),
    is_enabled: bool = True,
) -> WebhookEndpoint:
    """A new endpoint, told of what happens from now on; its ``secret`` is on the object.

    Invalid for an address that cannot be sent to, and at the 51st endpoint.
    """
    if error := url_error(url):
        raise Invalid.field("/url", error)
    at = clock.now()
    with transaction.atomic():
        # One at a time for a tenant: two that count at once would both find the last place free.
        run("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_ENDPOINTS_LOCK, tenant.pk])
        if WebhookEndpoint.objects.for_tenant(tenant).count() >= MAX_ENDPOINTS:
            raise Invalid.field("", f"a tenant has at most {MAX_ENDPOINTS} endpoints")
        made: WebhookEndpoint = WebhookEndpoint.objects.create(
            tenant=tenant,
            url=url,
            description=description,
            events=_ordered(events),
            min_severity=min_severity,
            trigger_types=list(dict.fromkeys(trigger_types)),
            categories=list(dict.fromkeys(categories)),
            is_enabled=is_enabled,
            secret=signing.new_secret(),
            created_at=at,
            updated_at=at,
        )
        _audit("webhook created", made, by=by, data=_shown({"url": url, "events": made.events}))
    return made


def update(*, by: Actor, endpoint: WebhookEndpoint, changes: Mapping[str, Any]) -> WebhookEndpoint:
    """Changes some of what ``create`` takes; what is already owed is sent to the new address."""
    if "url" in changes and (error := url_error(changes["url"])):
        raise Invalid.field("/url", error)
    values = {name: value for name, value in changes.items() if name in CHANGEABLE}
    if "events" in values:
        values["events"] = _ordered(values["events"])
    with transaction.atomic():
        changed = _change(endpoint, values)
        _audit("webhook changed", changed, by=by, data=_shown(values))
    return changed


def rotate_secret(*, by: Actor, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Gives the endpoint a new secret, which signs from the next attempt on."""
    with transaction.atomic():
        changed = _change(endpoint, {"secret": signing.new_secret()})
        _audit("webhook secret rotated", changed, by=by, data={})
    return changed


def delete(*, by: Actor, endpoint: WebhookEndpoint) -> None:
    """Deletes the endpoint, what it was owed, and the log of what it was sent."""
    with transaction.atomic():
        _audit("webhook deleted", endpoint, by=by, data=_shown({"url": endpoint.url}))
        # In the database, not one by one: there may be hundreds of thousands.
        deliveries = WebhookDelivery.objects.filter(endpoint=endpoint)
        WebhookAttempt.objects.filter(delivery__in=deliveries)._raw_delete(using=endpoint._state.db)
        deliveries._raw_delete(using=endpoint._state.db)
        endpoint.delete()


def _audit(action: str, endpoint: WebhookEndpoint, *, by: Actor, data: dict[str, Any]) -> None:
    audit.record(
        action, by=by, tenant_id=endpoint.tenant_id, target=f"webhook {endpoint.pk}", data=data
    )


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is logged of an endpoint: of its address only where it leads, which may hold a token."""
    shown = dict(values)
    if "url" in shown:
        parts = urlsplit(shown["url"])
        shown["url"] = f"{parts.scheme}://{parts.hostname}"
    return shown


def _change(endpoint: WebhookEndpoint, values: Mapping[str, Any]) -> WebhookEndpoint:
    # A change that meets another one wins over it field by field.
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**values, updated_at=clock.now())
    endpoint.refresh_from_db()
    return endpoint


def _ordered(events: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    return [event for event in WebhookEvent if event in events]
