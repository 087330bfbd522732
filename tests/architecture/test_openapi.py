"""The OpenAPI document says what is so: scopes, refusals, and examples that are accepted."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from django.test import Client

from config.api.document import DocumentView
from config.api.permissions import ANY_SCOPE
from tests.architecture import routes
from tests.architecture.operations import OPERATIONS
from tests.factories.world import World

# Documented under its other address.
UNDOCUMENTED = {"POST api/public/otel/v1/traces"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return yaml.safe_load(Client().get("/api/schema/").content)


@pytest.fixture(scope="module")
def documented(document: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """By operation, its path and what is said of it."""
    named = {
        f"{method.upper()} {_anonymous(path[1:])}": (path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    return {
        name: named.pop(_anonymous(name)) for name in OPERATIONS if name not in UNDOCUMENTED
    } | named


def _anonymous(address: str) -> str:
    return re.sub(r"<\w+>|{\w+}", "*", address)


def test_every_operation_is_documented_and_no_other(
    document: dict[str, Any], documented: dict[str, Any]
) -> None:
    assert document["openapi"].startswith("3.1")
    assert documented.keys() == OPERATIONS.keys() - UNDOCUMENTED
    identifiers = [operation["operationId"] for _, operation in documented.values()]
    assert len(set(identifiers)) == len(identifiers)


def test_every_operation_says_which_scope_it_needs(
    document: dict[str, Any], documented: dict[str, Any]
) -> None:
    schemes = document["components"]["securitySchemes"]
    for name, (_, operation) in documented.items():
        view, action = routes.OPERATIONS[name]
        scope = view.action_scopes[action]
        assert operation["security"], name
        for way in operation["security"]:
            for scheme, needed in way.items():
                assert schemes[scheme]["description"]
                assert needed == ([] if scope == ANY_SCOPE else [scope]), name


def test_every_operation_says_how_it_refuses(
    document: dict[str, Any], documented: dict[str, Any]
) -> None:
    for name, (_, operation) in documented.items():
        refusals = {status for status in operation["responses"] if status >= "400"}
        assert {"400", "401", "429", "503"} <= refusals, name
        assert "default" not in operation["responses"], name
        for status in refusals:
            answer = operation["responses"][status]
            if "$ref" in answer:
                answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
                assert list(answer["content"]) == ["application/problem+json"], name
            assert answer["description"], name


@pytest.mark.django_db
def test_every_body_has_an_example_that_is_accepted(
    alpha: World, documented: dict[str, Any]
) -> None:
    client = Client(headers=alpha.headers)
    sent = 0
    for name, (_, operation) in documented.items():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            binary = content["schema"].get("format") == "binary"
            assert binary or "example" in content, f"{name}: {media_type}"
            if binary:
                continue
            example = content["example"]
            body = example if isinstance(example, str) else json.dumps(example)
            body = body.replace("0190a5f0-0000-7000-8000-000000000001", alpha.ids["incident"])
            request = OPERATIONS[name]
            path = request.path(name.partition(" ")[2], alpha.ids)
            answer = client.generic(name.partition(" ")[0], path, body, content_type=media_type)
            # Of one after another on the same objects, some come too late.
            assert answer.status_code < 300 or answer.status_code == 409, (
                f"{name}: {answer.content!r}"
            )
            assert answer.status_code == 409 or str(answer.status_code) in operation["responses"]
            sent += answer.status_code < 300
    assert sent > 30


def test_docs_need_no_network(client: Client) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page.content.decode()) == []


def test_document_is_made_once_by_whichever_thread_asks_first() -> None:
    DocumentView._made = None
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: Client().get("/api/schema/").content, range(4)))
    assert len(set(answers)) == 1


@pytest.mark.parametrize("query", ["version=%0d%0aX:1", "version=%00", "lang=%ff", "format=x"])
def test_document_takes_no_harm_from_a_query(query: str) -> None:
    assert Client().get(f"/api/schema/?{query}").status_code in (200, 404)
