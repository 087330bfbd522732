"""Webhooks: who wants to know of incidents, the outbox, and what became of every delivery.

The outbox is filled by a trigger on the timeline's table: an event and the deliveries it owes are
written by one statement, whatever wrote the event.
"""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import DeliveryStatus, EventType, Severity, SourceType, WebhookEvent


class WebhookEndpoint(models.Model):
    """An address that is told of a tenant's incidents.

    ``events`` are the kinds it wants. ``min_severity``, ``trigger_types`` and ``categories``
    narrow that down: null or empty lets everything pass, and the incident has to pass each at
    the time of the event. While it is not enabled, nothing new is noted for it and what is
    pending waits. ``secret`` signs what is sent; it is never answered again.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=2000, default="", blank=True)
    events = ArrayField(models.CharField(max_length=20, choices=WebhookEvent.choices))
    min_severity = models.SmallIntegerField(choices=Severity.choices, null=True, blank=True)
    trigger_types = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    categories = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    is_enabled = models.BooleanField(default=True)
    secret = models.CharField(max_length=100, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(events__contained_by=list(WebhookEvent.values)) & Q(events__len__gte=1),
                name="webhook_events_known",
            ),
            models.CheckConstraint(
                condition=Q(min_severity__isnull=True) | Q(min_severity__in=Severity.values),
                name="webhook_severity_known",
            ),
        ]
        indexes: ClassVar = [
            # The list of a tenant's endpoints, and the trigger's search for who wants an event.
            models.Index(fields=["tenant", "-created_at", "-id"], name="webhook_created"),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One event owed to one endpoint.

    ``body`` is what is sent, made when it is first sent and the same ever after. ``attempts``
    counts since the delivery was last asked for, by the event or by hand. A worker holds the
    row's lock from taking the delivery until it has noted the result.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    # The trigger has both before it; checking them again would be paid by who reports.
    event = models.ForeignKey(
        "incidents.Event",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    kind = models.CharField(max_length=20, choices=WebhookEvent.choices)
    status = models.CharField(
        max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING
    )
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    body = models.TextField(null=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        verbose_name_plural = "webhook deliveries"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=WebhookEvent.values), name="delivery_kind_known"
            ),
            # What waits has a time, what is over has an end.
            models.CheckConstraint(
                condition=Q(
                    status=DeliveryStatus.PENDING,
                    next_attempt_at__isnull=False,
                    finished_at__isnull=True,
                )
                | Q(
                    status__in=[DeliveryStatus.DELIVERED, DeliveryStatus.FAILED],
                    next_attempt_at__isnull=True,
                    finished_at__isnull=False,
                ),
                name="delivery_pending_iff_due",
            ),
            # An event is owed to an endpoint once.
            models.UniqueConstraint(fields=["endpoint", "event"], name="delivery_identity"),
        ]
        indexes: ClassVar = [
            # What housekeeping takes next.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(status=DeliveryStatus.PENDING),
                name="delivery_due",
            ),
            # The log of one endpoint, newest first.
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_log"),
            # Housekeeping forgets what was over long ago.
            models.Index(
                fields=["finished_at"],
                condition=Q(finished_at__isnull=False),
                name="delivery_finished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.endpoint}"


class WebhookAttempt(models.Model):
    """One try to deliver: the answer's status and the beginning of its body, or what failed."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    delivery = models.ForeignKey(
        WebhookDelivery, on_delete=models.CASCADE, related_name="log", db_index=False
    )
    number = models.IntegerField()
    duration_ms = models.IntegerField()
    status_code = models.IntegerField(null=True)
    response = models.TextField(null=True)
    error = models.CharField(max_length=500, null=True)
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            # The attempts of one delivery, newest first.
            models.Index(fields=["delivery", "-created_at", "-id"], name="attempt_log"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.status_code or self.error}"


# The incident's row is as the transaction has it at this moment. The function acts for the
# tables' owner: who reports an alert need not be let at the endpoints and their secrets. The id
# is a UUIDv7, which PostgreSQL makes by itself from version 18 on only.
_EVENTS: Final = ", ".join(
    f"'{event}'" for event in WebhookEvent if event != WebhookEvent.OVERFLOWED
)
CREATE_OUTBOX: Final = f"""
CREATE FUNCTION incidents_owe_deliveries() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO incidents_webhookdelivery
        (id, tenant_id, endpoint_id, event_id, incident_id, kind, status, attempts,
        next_attempt_at, created_at)
    SELECT encode(set_bit(set_bit(overlay(
            uuid_send(gen_random_uuid()) PLACING substring(
                int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
            FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid,
        w.tenant_id, w.id, e.id, e.incident_id, e.kind, '{DeliveryStatus.PENDING}', 0,
        e.created_at, e.created_at
    FROM (
        SELECT a.id, a.tenant_id, a.incident_id, a.created_at,
            CASE WHEN a.event_type = '{EventType.OPENED}'
                    AND i.source_type = '{SourceType.OVERFLOW}'
                THEN '{WebhookEvent.OVERFLOWED}' ELSE a.event_type END AS kind,
            i.severity, i.trigger_type, i.category
        FROM added a JOIN incidents_incident i ON i.id = a.incident_id
        WHERE a.event_type IN ({_EVENTS})
    ) e
    JOIN incidents_webhookendpoint w ON w.tenant_id = e.tenant_id
    WHERE w.is_enabled AND e.kind = ANY(w.events)
        AND (w.min_severity IS NULL OR e.severity >= w.min_severity)
        AND (cardinality(w.trigger_types) = 0 OR e.trigger_type = ANY(w.trigger_types))
        AND (cardinality(w.categories) = 0 OR e.category = ANY(w.categories));
    RETURN NULL;
END $$;
CREATE TRIGGER incidents_event_owes_deliveries AFTER INSERT ON incidents_event
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION incidents_owe_deliveries()
"""  # noqa: S608 - only our own constants are interpolated
DROP_OUTBOX: Final = """
DROP TRIGGER incidents_event_owes_deliveries ON incidents_event;
DROP FUNCTION incidents_owe_deliveries()
"""
