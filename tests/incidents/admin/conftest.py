from __future__ import annotations

import pytest
from django.test import Client

from config.tenancy.models import Tenant
from tests.factories.people import person
from tests.factories.tenancy import TenantFactory


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory.create()


@pytest.fixture
def other(db: None) -> Tenant:
    return TenantFactory.create()


@pytest.fixture
def responder(tenant: Tenant, client: Client) -> Client:
    """A browser of a responder, Ada, who sees ``tenant`` alone."""
    client.force_login(person("responder", tenant, name="ada"))
    return client
