"""Service levels: how soon a tenant wants its incidents acknowledged and resolved."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import Severity


class SeverityTarget(models.Model):
    """The seconds, from ``created_at``, within which incidents of a severity are to be handled.

    Null means that there is no such target. Service levels go by the targets of the moment.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="severity_targets", db_index=False
    )
    severity = models.SmallIntegerField(choices=Severity.choices)
    acknowledge_seconds = models.IntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    resolve_seconds = models.IntegerField(null=True, blank=True, validators=[MinValueValidator(1)])

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-severity"]
        constraints: ClassVar = [
            # One target per tenant and severity; also finds the targets of a tenant.
            models.UniqueConstraint(fields=["tenant", "severity"], name="target_identity"),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="target_severity_known"
            ),
            # A target of nothing would be breached by everything.
            models.CheckConstraint(
                condition=Q(acknowledge_seconds__isnull=True) | Q(acknowledge_seconds__gte=1),
                name="target_acknowledge_positive",
            ),
            models.CheckConstraint(
                condition=Q(resolve_seconds__isnull=True) | Q(resolve_seconds__gte=1),
                name="target_resolve_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.get_severity_display()}"
