"""What a tenant wants of the systems that send to it, and what they said of alerts that ended."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet


class SenderSettings(models.Model):
    """One row for a tenant that changed anything; without one, the defaults below hold.

    ``keep_prompts`` keeps what was said in a trace, redacted; otherwise it is dropped before it
    is decoded. ``redaction_patterns`` are RE2's and replace the ones of the product; null keeps
    those. ``resolve_on_resolved`` lets Alertmanager resolve incidents. ``sentry_secret`` is the
    client secret of the tenant's integration, which signs what Sentry sends; "" refuses it all.
    """

    tenant = models.OneToOneField(
        Tenant, on_delete=models.PROTECT, primary_key=True, related_name="sender_settings"
    )
    keep_prompts = models.BooleanField(default=False)
    redaction_patterns = ArrayField(models.CharField(max_length=500), null=True, blank=True)
    resolve_on_resolved = models.BooleanField(default=False)
    sentry_secret = models.CharField(max_length=200, default="", blank=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "sender settings"

    def __str__(self) -> str:
        return str(self.tenant_id)


class EndedAlert(models.Model):
    """That a monitor said that an alert is over; ``key`` is the alert's own.

    It may be said of an alert that was never received.
    """

    pk = models.CompositePrimaryKey("tenant_id", "key")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    key = models.UUIDField()
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            # Retention of what was said of alerts that never came.
            models.Index(fields=["tenant", "created_at"], name="ended_alert_created"),
        ]

    def __str__(self) -> str:
        return str(self.key)


class SpanStep(models.Model):
    """Which step of a trace a span became, so that a span which is sent again is known.

    ``span_id`` is the span's id of 8 bytes, read as a signed number. A step's index is the place
    in which its span arrived, and stays so: what comes later is added behind.
    """

    # Led by the trace, whose known spans are read together. There is no foreign key in the
    # database: thousands of spans of one trace need not each ask for it.
    pk = models.CompositePrimaryKey("trace_id", "span_id", "tenant_id")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    trace = models.ForeignKey(
        "incidents.Trace",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    span_id = models.BigIntegerField()
    step_index = models.BigIntegerField()

    objects = TenantScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.span_id & 0xFFFF_FFFF_FFFF_FFFF:016x}"
