from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from config import clock
from config.actors import COMMAND_LINE
from config.api.parsers import MAX_DISCARDED
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import keys
from tests.config.api.conftest import ApiClient
from tests.factories.tenancy import bearer, issue_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_api")]

KEYS = "/api/v1/keys/"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(answer.content)
    assert document["status"] == status
    assert document["code"] == code
    assert document.keys() >= {"type", "title", "detail"}
    return document


def pointers(answer: Any, status: int = 400) -> list[str]:
    return [error["pointer"] for error in problem(answer, status, "invalid")["errors"]]


def post(client: Client, body: Any, address: str = KEYS, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    options.setdefault("content_type", "application/json")
    return client.post(address, data, **options)


def test_list_has_the_form_of_a_page(api: ApiClient) -> None:
    for _ in range(3):
        issue_key(api.tenant)
    first = api.get(KEYS, {"page_size": 3}).json()
    assert (len(first["results"]), first["previous"]) == (3, None)
    second = api.get(first["next"]).json()
    assert (len(second["results"]), second["next"]) == (1, None)
    assert api.get(second["previous"]).json()["results"] == first["results"]


# The one statement that finds the key is prepared, and goes past Django's counting.
def test_list_costs_one_query_besides_the_key(
    api: ApiClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api.get(KEYS)
    with django_assert_num_queries(3):  # with a savepoint and its release
        assert api.get(KEYS, {"name": "a"}).status_code == 200


def test_list_as_of(api: ApiClient) -> None:
    now = clock.now()
    issue_key(api.tenant)
    listed = api.get(KEYS, {"as_of": now.isoformat()}).json()["results"]
    assert [item["id"] for item in listed] == [str(api.key.pk)]


def test_report_costs_no_query_besides_the_key(
    api: ApiClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api.get(KEYS)
    with django_assert_num_queries(0):
        answer = post(api, b"{}", KEYS + "report/")
    assert answer.json() == {"size": 2}


def test_answers_are_not_stored_by_others(api: ApiClient) -> None:
    assert api.get(KEYS).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "not_authenticated"),
        ("", "not_authenticated"),
        ("Basic Zm9vOmJhcg==", "not_authenticated"),
        ("Bearer", "invalid_key"),
        ("Bearer fb_nothing_here", "invalid_key"),
        ("Bearer \xff\xfe", "invalid_key"),
    ],
)
def test_no_or_bad_key(header: str | None, code: str) -> None:
    client = Client(headers={} if header is None else {"Authorization": header})
    answer = client.get(KEYS)
    problem(answer, 401, code)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="firebreak"'


def test_key_after_its_end(tenant: Tenant) -> None:
    key, plaintext = issue_key(tenant, expires_in_days=1)
    client = Client(headers=bearer(plaintext))
    assert client.get(KEYS).status_code == 200
    ApiKey.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    problem(client.get(KEYS), 401, "invalid_key")
    ApiKey.objects.update(expires_at=None)
    assert client.get(KEYS).status_code == 200
    keys.revoke(by=COMMAND_LINE, prefix=key.prefix)
    problem(client.get(KEYS), 401, "invalid_key")


def test_scheme_in_any_case(tenant: Tenant) -> None:
    _, plaintext = issue_key(tenant)
    assert Client(headers={"Authorization": f"bearer {plaintext}"}).get(KEYS).status_code == 200


def test_missing_scope(call: Callable[..., ApiClient]) -> None:
    reader = call("read", "ingest", "export", "admin")
    document = problem(post(reader, {"name": "x"}), 403, "insufficient_scope")
    assert "triage" in document["detail"]
    problem(call("triage").get(KEYS), 403, "insufficient_scope")
    assert call("read").head(KEYS).status_code == 200


def test_operation_without_a_declared_scope(api: ApiClient) -> None:
    problem(api.get(KEYS + "forgotten/"), 403, "insufficient_scope")


def test_order_of_refusals(call: Callable[..., ApiClient]) -> None:
    wrong = {"address": f"{KEYS}?x=1", "content_type": "text/plain", "body": b"\xff"}
    problem(post(Client(), **wrong), 401, "not_authenticated")
    problem(post(call("read"), **wrong), 403, "insufficient_scope")
    problem(post(call(), **wrong), 400, "invalid")
    problem(Client().get(f"{KEYS}nothing/"), 401, "not_authenticated")
    problem(call("ingest").get(f"{KEYS}nothing/"), 403, "insufficient_scope")
    problem(Client(headers={"Accept": "text/html"}).get(KEYS), 401, "not_authenticated")


def test_method_that_is_not_offered(call: Callable[..., ApiClient]) -> None:
    answer = call("ingest").delete(KEYS)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_options(call: Callable[..., ApiClient]) -> None:
    problem(Client().options(KEYS), 401, "not_authenticated")
    answer = call("ingest").options(KEYS)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("text/html, application/*;q=0.8", 200),
        ("application/problem+json", 200),
        ("", 200),
        ("text/html", 406),
        (";;;,", 200),
    ],
)
def test_accept(api: ApiClient, accept: str, status: int) -> None:
    answer = api.get(KEYS, headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        problem(answer, 406, "not_acceptable")


@pytest.mark.parametrize(
    "address", [KEYS, KEYS + "report/", KEYS + "bebf5d6b-c486-46ef-baef-31535197ab88/"]
)
def test_unknown_parameter_is_refused_everywhere(api: ApiClient, address: str) -> None:
    assert pointers(post(api, {}, f"{address}?unknown=1&x=2")) == ["/unknown", "/x"]
    if address != KEYS + "report/":
        assert pointers(api.get(f"{address}?unknown=1")) == ["/unknown"]


def test_retrieve(api: ApiClient) -> None:
    answer = api.get(f"{KEYS}{api.key.pk}/")
    assert answer.json()["id"] == str(api.key.pk)
    assert api.get(f"{KEYS}{str(api.key.pk).upper()}/").status_code == 200


def test_retrieve_of_another_tenant_is_as_if_it_were_not(api: ApiClient) -> None:
    foreign, _ = issue_key()
    answers = [api.get(f"{KEYS}{pk}/") for pk in (foreign.pk, uuid4())]
    assert answers[0].content == answers[1].content
    problem(answers[0], 404, "not_found")
    assert str(foreign.pk) not in str(api.get(KEYS).json())


@pytest.mark.parametrize(
    "pk", ["1", "x", "%00", "%F0%9F%94%A5", "a%0A", "{0}%0A", "%7B{0}%7D", "urn:uuid:{0}", "{1}"]
)
def test_retrieve_what_is_no_uuid(api: ApiClient, pk: str) -> None:
    problem(api.get(f"{KEYS}{pk.format(api.key.pk, api.key.pk.hex)}/"), 404, "not_found")


def test_create(api: ApiClient) -> None:
    answer = post(api, {"name": "new"})
    assert answer.status_code == 201
    assert ApiKey.objects.get(pk=answer.json()["id"]).tenant == api.tenant


def test_create_gzipped(api: ApiClient) -> None:
    zipped = gzip.compress(b'{"name": "new"}')
    answer = post(api, zipped, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 201
    problem(post(api, zipped[:-4], headers={"Content-Encoding": "gzip"}), 400, "invalid")
    problem(post(api, b"{}", headers={"Content-Encoding": "br"}), 415, "unsupported_media_type")


def test_create_too_large(api: ApiClient) -> None:
    body = b'{"name": "' + b"x" * (16 * 1024 * 1024) + b'"}'
    problem(post(api, body), 413, "too_large")
    problem(post(api, gzip.compress(body), headers={"Content-Encoding": "gzip"}), 413, "too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "application/json; charset=utf-16",
        "application/jsonx",
        "x" * 300,
    ],
)
def test_create_unknown_media_type(api: ApiClient, content_type: str) -> None:
    answer = post(api, b'{"name": "x"}', content_type=content_type)
    problem(answer, 415, "unsupported_media_type")


def test_create_without_a_body(api: ApiClient) -> None:
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        assert pointers(post(api, b"", content_type=content_type)) == ["/name"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"[]", [""]),
        (b"null", [""]),
        (b'{"name": "a"', [""]),
        (b'{"name": "\xff"}', [""]),
        (b'{"name": "a", "count": NaN}', ["/count"]),
        (b'{"name": "a", "count": 9007199254740992}', ["/count"]),
        (rb'{"name": "a\u0000"}', ["/name"]),
        (rb'{"name": "\ud800"}', ["/name"]),
        (b'{"name": "a", "name": "b"}', ["/name"]),
        (b'{"name": "a", "count": 11}', ["/count"]),
        (b'{"name": "a", "count": true}', ["/count"]),
        (b'{"name": "a", "parts": [{"sku": "x"}, {"sku": ""}]}', ["/parts/1/sku"]),
        (b'{"name": "a", "tenant": "other"}', ["/tenant"]),
        (b"[" * 100_000, [""]),
        (b'{"a":' * 40 + b"1" + b"}" * 40, ["/a" * 32]),
    ],
)
def test_create_bad_body(api: ApiClient, body: bytes, where: list[str]) -> None:
    assert pointers(post(api, body)) == where
    assert ApiKey.objects.count() == 1


def test_refusal_undoes_the_request(api: ApiClient) -> None:
    document = problem(post(api, {}, f"{KEYS}{api.key.pk}/"), 409, "invalid_transition")
    assert document["detail"] == "A key cannot be renamed."
    api.key.refresh_from_db()
    assert api.key.name == "test key"


def test_unexpected_error_is_not_hidden(api: ApiClient) -> None:
    with pytest.raises(RuntimeError, match="not meant"):
        api.get(KEYS + "fail/")


@pytest.mark.parametrize("debug", [False, True])
def test_unexpected_error_in_production(
    call: Callable[..., ApiClient], settings: Any, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = debug
    answer = call(raise_request_exception=False).get(KEYS + "fail/")
    assert answer.status_code == 500
    assert "not meant" in caplog.text
    if not debug:
        problem(answer, 500, "internal_error")
        assert b"not meant" not in answer.content


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options", "head"])
def test_unknown_address(settings: Any, method: str, debug: bool) -> None:
    settings.DEBUG = debug
    answer = getattr(Client(), method)("/api/v2/nothing/")
    assert answer.status_code == 404
    if method != "head":
        problem(answer, 404, "not_found")


@pytest.mark.parametrize("debug", [False, True])
def test_address_without_its_final_slash(settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    client = Client()
    problem(post(client, {}, KEYS[:-1]), 404, "not_found")
    answer = client.get(f"{KEYS[:-1]}?page_size=3")
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{KEYS}?page_size=3")
    problem(client.get("/api/v1/nothing"), 404, "not_found")


def test_address_outside_the_api(settings: Any) -> None:
    settings.DEBUG = False
    answer = Client().get("/nothing/")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_host_that_is_not_allowed(settings: Any) -> None:
    settings.DEBUG = False
    answer = Client(headers={"Host": "evil.example"}).get(KEYS)
    problem(answer, 400, "invalid")


def test_whoami(settings: Any, call: Callable[..., ApiClient]) -> None:
    settings.ROOT_URLCONF = "config.urls"
    client = call("export")
    assert client.get("/api/v1/whoami/").json() == {
        "tenant": client.tenant.pk,
        "key_name": "test key",
        "prefix": client.key.prefix,
        "scopes": ["export"],
        "expires_at": None,
    }
    problem(Client().get("/api/v1/whoami/"), 401, "not_authenticated")


def test_refused_body_is_read_to_its_end_unless_a_stranger_sends_it(client: Client) -> None:
    _, key = issue_key(scopes=["ingest"])
    refused = client.post(KEYS, b"x" * 1000, "application/json", headers=bearer(key))
    assert (refused.status_code, refused.wsgi_request.read()) == (403, b"")
    too_much = client.post(
        KEYS, b"x" * (MAX_DISCARDED + 1), "application/json", headers=bearer(key)
    )
    assert (too_much.status_code, too_much.wsgi_request.read(3)) == (403, b"xxx")
    stranger = client.post(KEYS, b"x" * 1000, "application/json", headers=bearer("no key"))
    assert (stranger.status_code, stranger.wsgi_request.read(3)) == (401, b"xxx")
