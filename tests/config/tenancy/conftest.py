from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from config.tenancy.models import ApiKey, IdempotencyRecord, Tenant
from tests.factories.tenancy import TenantFactory


@pytest.fixture
def committed_tenant(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Tenant]:
    """A tenant that other connections see too; it and what is its is deleted afterwards.

    A test that flushes every table cannot be used here: append-only tables refuse it.
    """
    with django_db_blocker.unblock():
        tenant = TenantFactory.create()
        yield tenant
        IdempotencyRecord.objects.filter(tenant=tenant).delete()
        ApiKey.objects.filter(tenant=tenant).delete()
        tenant.delete()
