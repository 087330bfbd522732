from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from config.actors import Actor
from config.tenancy.models import ApiKey, Tenant
from tests.factories.tenancy import TenantFactory, issue_key
from tests.incidents.conftest import api, call, tenant
from tests.incidents.senders.receivers import Receiver

__all__ = ["api", "call", "tenant"]

BY = Actor(via="test key")


@dataclass
class Served:
    """A running server, a tenant on it, and a key of that tenant."""

    url: str
    tenant: Tenant
    key: ApiKey
    bearer: str


@pytest.fixture
def served(transactional_db: None, live_server: LiveServer) -> Served:
    tenant = TenantFactory.create()
    key, plaintext = issue_key(tenant)
    return Served(live_server.url, tenant, key, plaintext)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def _loopback_allowed(settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8"), ip_network("::1")]


@pytest.fixture
def by() -> Actor:
    return BY


Api = Callable[..., Any]
