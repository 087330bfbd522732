"""Walks the product's addresses: every operation under /api/v1/ is guarded, and documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from config.api.permissions import ANY_SCOPE
from config.api.views import TenantViewSet
from config.tenancy.enums import Scope
from tests.config.api.conftest import ApiClient
from tests.factories.tenancy import bearer, issue_key

PREFIX = "api/v1/"
SOME_UUID = "0190a5f0-0000-7000-8000-000000000001"


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern) and address.startswith(PREFIX):
            yield address, pattern.callback


def operations() -> list[Any]:
    found = []
    for address, view in routes(get_resolver("config.urls").url_patterns):
        filled = re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", SOME_UUID, address).replace("\\", "")
        for method, action in view.actions.items():
            found.append(
                pytest.param(f"/{filled}", method, view.cls, action, id=f"{method} {address}")
            )
    return found


OPERATIONS = operations()


def test_routes_are_found() -> None:
    assert any(operation.id == "get api/v1/whoami/" for operation in OPERATIONS)


@pytest.mark.parametrize(("address", "method", "view", "action"), OPERATIONS)
def test_operation_declares_its_scope(
    address: str, method: str, view: type[TenantViewSet], action: str
) -> None:
    assert issubclass(view, TenantViewSet)
    assert view.action_scopes[action] in (*Scope.values, ANY_SCOPE)


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "method", "view", "action"), OPERATIONS)
def test_operation_is_guarded(
    address: str, method: str, view: type[TenantViewSet], action: str
) -> None:
    assert getattr(Client(), method)(address).status_code == 401
    needed = view.action_scopes[action]
    if needed == ANY_SCOPE:
        return
    others = [scope for scope in Scope.values if scope != needed]
    _, plaintext = issue_key(scopes=others)
    answer = getattr(Client(headers=bearer(plaintext)), method)(address)
    assert answer.status_code == 403
    assert needed in answer.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "method", "view", "action"), OPERATIONS)
def test_operation_refuses_unknown_parameters(
    api: ApiClient, address: str, method: str, view: type[TenantViewSet], action: str
) -> None:
    answer = getattr(api, method)(f"{address}?surely_unknown=1")
    assert answer.status_code == 400
    assert "/surely_unknown" in [error["pointer"] for error in answer.json()["errors"]]


def test_schema_is_public_and_names_every_operation(client: Client) -> None:
    document = yaml.safe_load(client.get("/api/schema/").content)
    assert document["openapi"].startswith("3.1")
    documented = {
        (re.sub(r"\{\w+\}", "*", path), method)
        for path, operations in document["paths"].items()
        for method in operations
    }
    for operation in OPERATIONS:
        address, method = operation.values[:2]
        assert (address.replace(SOME_UUID, "*"), method) in documented
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_docs_need_no_network(client: Client) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page.content.decode()) == []
