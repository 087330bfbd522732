"""Querysets that know whose rows they hold."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models

if TYPE_CHECKING:
    from config.tenancy.models import Tenant


class TenantScopedQuerySet(models.QuerySet[Any]):
    """The rows of a model with a ``tenant`` foreign key.

    Use as ``objects = TenantScopedQuerySet.as_manager()``, or subclass it.
    """

    def for_tenant(self, tenant: Tenant | str) -> Self:
        """Only the rows of this tenant (given as the object or as its id)."""
        return self.filter(tenant_id=tenant if isinstance(tenant, str) else tenant.pk)

    def as_of(self, moment: datetime | None) -> Self:
        """Without what was created after ``moment``; all of it when that is None."""
        return self if moment is None else self.filter(created_at__lte=moment)
