"""Emptying the outbox: deliveries that are due, one transaction each.

A delivery is sent while its row is locked, so that no two workers have it, and one that dies lets
go of it. What was sent but could not be noted is sent again, with the same ``webhook-id``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction

from config import clock
from config.api.values import format_money, format_timestamp
from config.database.statements import run
from incidents.enums import DeliveryStatus, Severity
from incidents.errors import DeliveryPending
from incidents.models import Event, Incident, WebhookAttempt, WebhookDelivery
from incidents.services.webhooks import signing, transport

# After how many seconds a delivery is tried again; after the last it has failed.
DELAYS: Final = (5, 30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400)
KEPT_FOR: Final = timedelta(days=30)
# A round of housekeeping has other things to do: it begins no attempt after this many seconds.
ROUND_SECONDS: Final = 30.0
_STEP: Final = 1_000

_OVER: Final = f"""
SELECT id FROM incidents_webhookdelivery WHERE finished_at < %s
LIMIT {_STEP} FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - only our own constants are interpolated
_DUE: Final = f"""
SELECT d.id FROM incidents_webhookdelivery d
JOIN incidents_webhookendpoint w ON w.id = d.endpoint_id
WHERE d.status = '{DeliveryStatus.PENDING}' AND d.next_attempt_at <= %s
    AND w.is_enabled AND NOT d.endpoint_id = ANY(%s)
ORDER BY d.next_attempt_at
LIMIT 1 FOR NO KEY UPDATE OF d SKIP LOCKED
"""  # noqa: S608 - only our own constants are interpolated


def deliver() -> int:
    """Sends what is due; how many deliveries arrived.

    An endpoint that fails is left alone for the rest of the round, so that it holds up nobody.
    """
    ends = time.monotonic() + ROUND_SECONDS
    delivered = 0
    failing: list[UUID] = []
    while time.monotonic() < ends:
        result = _deliver_next(failing)
        if result is None:
            break
        endpoint_id, arrived = result
        if arrived:
            delivered += 1
        else:
            failing.append(endpoint_id)
    return delivered


def redeliver(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Makes a delivery that is over due again, with all its attempts before it.

    DeliveryPending when it is due anyway.
    """
    changed = (
        WebhookDelivery.objects.filter(pk=delivery.pk)
        .exclude(status=DeliveryStatus.PENDING)
        .update(
            status=DeliveryStatus.PENDING,
            attempts=0,
            next_attempt_at=clock.now(),
            finished_at=None,
        )
    )
    if not changed:
        raise DeliveryPending
    delivery.refresh_from_db()
    return delivery


def forget() -> int:
    """Deletes deliveries that were over 30 days ago, with their attempts; how many there were."""
    limit = clock.now() - KEPT_FOR
    forgotten = 0
    while True:
        with transaction.atomic():
            ids = [id_ for (id_,) in run(_OVER, [limit])]
            WebhookAttempt.objects.filter(delivery_id__in=ids).delete()
            WebhookDelivery.objects.filter(pk__in=ids).delete()
        forgotten += len(ids)
        if len(ids) < _STEP:
            return forgotten


def _deliver_next(skipped: Sequence[UUID]) -> tuple[UUID, bool] | None:
    with transaction.atomic():
        rows = run(_DUE, [clock.now(), list(skipped)])
        if not rows:
            return None
        delivery = WebhookDelivery.objects.select_related("endpoint").get(pk=rows[0][0])
        return delivery.endpoint_id, _attempt(delivery)


def _attempt(delivery: WebhookDelivery) -> bool:
    """One try at a delivery whose row is locked; whether it arrived."""
    if delivery.body is None:
        delivery.body = _body(delivery)
    at = clock.now()
    began = time.monotonic()
    answer: transport.Answer | None = None
    error: str | None = None
    body = delivery.body.encode()
    try:
        answer = transport.post(
            delivery.endpoint.url,
            body=body,
            headers=signing.headers(
                secret=delivery.endpoint.secret, id=str(delivery.pk), body=body, at=at
            ),
            allowed=settings.WEBHOOK_NETWORKS,
        )
    except transport.NotSent as failure:
        error = str(failure)
    delivery.attempts += 1
    WebhookAttempt.objects.create(
        tenant_id=delivery.tenant_id,
        delivery=delivery,
        number=delivery.attempts,
        duration_ms=round((time.monotonic() - began) * 1_000),
        status_code=answer.status_code if answer else None,
        response=answer.body if answer else None,
        error=error,
        created_at=at,
    )
    arrived = answer is not None and answer.is_success
    _note(delivery, arrived=arrived, at=clock.now())
    return arrived


def _note(delivery: WebhookDelivery, *, arrived: bool, at: datetime) -> None:
    if arrived or delivery.attempts > len(DELAYS):
        delivery.status = DeliveryStatus.DELIVERED if arrived else DeliveryStatus.FAILED
        delivery.next_attempt_at, delivery.finished_at = None, at
    else:
        seconds = DELAYS[delivery.attempts - 1]
        # Up to a tenth later, so that what failed together does not come back together.
        later = seconds * (1 + secrets.randbelow(100) / 1_000)
        delivery.next_attempt_at = at + timedelta(seconds=later)
    delivery.save(update_fields=["body", "status", "attempts", "next_attempt_at", "finished_at"])


def _body(delivery: WebhookDelivery) -> str:
    """What is sent: the event, and the incident as it is when it is first sent."""
    event = Event.objects.get(pk=delivery.event_id)
    incident = Incident.objects.get(pk=delivery.incident_id)
    body = {
        "type": f"incident.{delivery.kind}",
        "timestamp": format_timestamp(event.created_at),
        "data": {
            "event": {
                "id": str(event.pk),
                "event_type": event.event_type,
                "description": event.description,
                "data": event.data,
                "actor": event.actor,
                "via": event.via,
                "created_at": format_timestamp(event.created_at),
            },
            "incident": _incident(incident),
        },
    }
    return msgspec.json.encode(body).decode()


def _incident(incident: Incident) -> dict[str, Any]:
    def moment(value: datetime | None) -> str | None:
        return None if value is None else format_timestamp(value)

    return {
        "id": str(incident.pk),
        "title": incident.title,
        "status": incident.status,
        "severity": Severity(incident.severity).label,
        "category": incident.category,
        "trigger_type": incident.trigger_type,
        "trigger_value": incident.trigger_value,
        "group_key": incident.group_key or None,
        "cause_type": incident.cause_type,
        "source_type": incident.source_type,
        "calls_affected": incident.calls_affected,
        "alerts_count": incident.alerts_count,
        "cost_delta_cents": format_money(incident.cost_delta_cents),
        "assignee": incident.assignee,
        "started_at": moment(incident.started_at),
        "last_seen_at": moment(incident.last_seen_at),
        "created_at": moment(incident.created_at),
        "acknowledged_at": moment(incident.acknowledged_at),
        "resolved_at": moment(incident.resolved_at),
        "resolution_method": incident.resolution_method,
        "is_synthetic": incident.is_synthetic,
    }
