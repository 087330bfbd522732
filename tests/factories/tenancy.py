"""Tenants and keys for tests."""

from __future__ import annotations

from typing import Any

import factory

from config.actors import COMMAND_LINE
from config.tenancy.enums import Scope
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import keys


class TenantFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Tenant

    id = factory.Sequence(lambda n: f"tenant-{n}")
    name = factory.LazyAttribute(lambda tenant: tenant.id.title())


def issue_key(
    tenant: Tenant | None = None, *, scopes: Any = tuple(Scope.values), **options: Any
) -> tuple[ApiKey, str]:
    """A key of a tenant (a new one by default), and the key itself."""
    tenant = tenant or TenantFactory.create()
    options.setdefault("name", "test key")
    return keys.issue(by=COMMAND_LINE, tenant_id=tenant.pk, scopes=list(scopes), **options)


def bearer(plaintext: str) -> dict[str, str]:
    """The headers that present a key, for ``client.get(..., headers=...)``."""
    return {"Authorization": f"Bearer {plaintext}"}
