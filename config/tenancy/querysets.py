"""Querysets that know whose rows they hold."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Value

if TYPE_CHECKING:
    from config.tenancy.models import Tenant


class _Asked(models.Func):
    """A value that is not known before the statement runs, as far as the planner can tell."""

    template = "(SELECT %(expressions)s)"
    arity = 1


class TenantScopedQuerySet(models.QuerySet[Any]):
    """The rows of a model with a ``tenant`` foreign key.

    Use as ``objects = TenantScopedQuerySet.as_manager()``, or subclass it.
    """

    def for_tenant(self, tenant: Tenant | str) -> Self:
        """Only the rows of this tenant (given as the object or as its id).

        For what is found by a key of its own, like nearly everything: it is planned for any
        tenant. One that the statistics do not know yet would be taken for one without rows, and
        all of these be read for want of a better index. A list that goes by how many rows the
        tenant has filters by ``tenant_id``.
        """
        name = tenant if isinstance(tenant, str) else tenant.pk
        return self.filter(tenant_id=_Asked(Value(name, output_field=models.CharField())))

    def as_of(self, moment: datetime | None) -> Self:
        """Without what was created after ``moment``; all of it when that is None."""
        return self if moment is None else self.filter(created_at__lte=moment)
