from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from config.tenancy.models import ApiKey, IdempotencyRecord
from tests.config.api.conftest import ApiClient
from tests.factories.tenancy import TenantFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_api")]

KEYS = "/api/v1/keys/"


def post(client: ApiClient, body: Any, *, key: str | None = "k-1", address: str = KEYS) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(address, json.dumps(body), content_type="application/json", headers=headers)


def test_repeat_gets_the_first_answer(api: ApiClient) -> None:
    first, second = post(api, {"name": "a"}), post(api, {"name": "a"})
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers["Content-Type"] == "application/json"
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert ApiKey.objects.filter(name="a").count() == 1


def test_without_a_key_each_request_counts(api: ApiClient) -> None:
    post(api, {"name": "a"}, key=None)
    post(api, {"name": "a"}, key=None)
    assert ApiKey.objects.filter(name="a").count() == 2
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.parametrize(
    ("body", "address"),
    [({"name": "b"}, KEYS), ({"name": "a", "count": 1}, KEYS), ({"name": "a"}, KEYS + "refuse/")],
)
def test_another_request_with_the_same_key(
    api: ApiClient, body: dict[str, Any], address: str
) -> None:
    post(api, {"name": "a"})
    answer = post(api, body, address=address)
    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_conflict"
    assert ApiKey.objects.filter(name__in=["b", "undone"]).count() == 0


def test_keys_of_two_tenants_do_not_meet(call: Callable[..., ApiClient]) -> None:
    assert post(call(), {"name": "a"}).status_code == 201
    other = post(call(of=TenantFactory.create()), {"name": "b"})
    assert other.status_code == 201
    assert other.json()["name"] == "b"


def test_scope_is_asked_before_a_replay(call: Callable[..., ApiClient]) -> None:
    post(call("triage"), {"name": "a"})
    assert post(call("read"), {"name": "a"}).status_code == 403


def test_refusal_is_not_kept(api: ApiClient) -> None:
    assert post(api, {"name": ""}).status_code == 400
    assert post(api, {"name": "a"}).status_code == 201


def test_refusal_that_is_returned_is_undone_and_not_kept(api: ApiClient) -> None:
    assert post(api, {}, address=KEYS + "refuse/").status_code == 409
    assert not ApiKey.objects.filter(name="undone").exists()
    assert not IdempotencyRecord.objects.exists()


def test_natural_identity_ignores_the_key(api: ApiClient) -> None:
    assert post(api, {}, address=KEYS + "report/").json() == {"size": 2}
    assert post(api, {"a": 1}, address=KEYS + "report/").json() == {"size": 8}


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "\x07"])
def test_bad_key(api: ApiClient, key: str) -> None:
    answer = post(api, {"name": "a"}, key=key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]


def test_longest_key(api: ApiClient) -> None:
    assert post(api, {"name": "a"}, key="~" * 255).status_code == 201
