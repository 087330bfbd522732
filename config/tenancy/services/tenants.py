"""Tenants: naming one and having it."""

from __future__ import annotations

import re
from datetime import datetime

from config import clock
from config.errors import Invalid
from config.tenancy.models import TENANT_ID_PATTERN, Tenant

_ID = re.compile(TENANT_ID_PATTERN)


def ensure(*, tenant_id: str, at: datetime | None = None) -> Tenant:
    """The tenant with this id, created if it is new; Invalid if no tenant may be called that."""
    if detail := id_error(tenant_id):
        raise Invalid.field("/tenant", detail)
    tenant, _ = Tenant.objects.get_or_create(
        id=tenant_id, defaults={"created_at": at or clock.now()}
    )
    return tenant


def id_error(tenant_id: str) -> str | None:
    """What is wrong with a tenant's id, if anything."""
    if _ID.fullmatch(tenant_id):
        return None
    return "must be 1 to 64 characters of a-z, 0-9 and '-'"
