"""How far the retention of alerts has come."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet


class RetentionMark(models.Model):
    """Where housekeeping goes on with a tenant's old alerts; its lock is held while it works.

    No alert recorded before ``done_to`` is left. Those recorded before ``working_to`` are going,
    the incidents in the order they were resolved in, up to ``reached``.
    """

    tenant = models.OneToOneField(
        Tenant, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    done_to = models.DateTimeField(null=True)
    working_to = models.DateTimeField(null=True)
    reached = models.DateTimeField(null=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["tenant_id"]

    def __str__(self) -> str:
        return f"{self.tenant_id} to {self.done_to}"
