from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from config.tenancy.models import ApiKey, Tenant
from tests.factories.tenancy import TenantFactory, bearer, issue_key


class ApiClient(Client):
    """A client that calls with a key of ``tenant``."""

    tenant: Tenant
    key: ApiKey


@pytest.fixture
def tenant(db: None) -> Tenant:
    tenant: Tenant = TenantFactory.create()
    return tenant


@pytest.fixture
def call(tenant: Tenant) -> Callable[..., ApiClient]:
    """Makes a client with a key of some scopes (all), of a tenant (this test's)."""

    def make(*scopes: str, of: Tenant | None = None, **options: Any) -> ApiClient:
        chosen = {"scopes": scopes} if scopes else {}
        key, plaintext = issue_key(of or tenant, **chosen)
        client = ApiClient(headers=bearer(plaintext), **options)
        client.tenant, client.key = key.tenant, key
        return client

    return make


@pytest.fixture
def api(call: Callable[..., ApiClient]) -> ApiClient:
    return call()


@pytest.fixture
def small_api(settings: Any) -> None:
    """Serves the addresses of tests.config.api.urls instead of the product's."""
    settings.ROOT_URLCONF = "tests.config.api.urls"
