"""Who gets what answer, for every route and every method of the URLconf.

Each test walks all of them, with objects that exist. A route that is new has to be given a good
request in ``operations`` before anything here passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import Client
from django.test.utils import override_settings

from config import clock
from config.api.permissions import ANY_SCOPE
from config.api.views import TenantViewSet
from config.tenancy.enums import Scope
from config.tenancy.models import ApiKey, Tenant
from tests.architecture import routes
from tests.architecture.operations import OPERATIONS, Operation
from tests.factories import world
from tests.factories.tenancy import bearer, issue_key
from tests.factories.world import World

MISSING = "0190a5f0-0000-7000-8000-00000000dead"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


@contextmanager
def undone() -> Iterator[None]:
    """What is done within leaves no trace."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def everything_of(tenant: str) -> dict[str, str]:
    """A digest of each table's rows of a tenant."""
    digests = {}
    with connection.cursor() as cursor:
        for model in tenant_models():
            table = model._meta.db_table
            cursor.execute(
                f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t "
                "WHERE tenant_id = %s",
                [tenant],
            )
            digests[table] = cursor.fetchone()[0]
    return digests


def tenant_models() -> list[Any]:
    return [
        model
        for model in apps.get_models()
        if any(field.related_model is Tenant for field in model._meta.concrete_fields)
    ]


def missing(ids: dict[str, str]) -> dict[str, str]:
    """The names of what nobody has, in the form of what there is."""
    return {
        name: MISSING if _UUID.fullmatch(value) else "m" * len(value)
        for name, value in ids.items()
        if name != "category"
    } | {
        # A word that incidents share, and no object.
        "category": ids["category"]
    }


def likeness(answer: Any, ids: dict[str, str]) -> tuple[Any, ...]:
    """An answer without what names the objects that were asked for, or the moment."""
    body = answer.content.decode("utf-8", "backslashreplace")
    for name, value in (*ids.items(), *missing(ids).items()):
        body = body if name == "category" else body.replace(value, "<id>")
    body = _TIME.sub("<time>", _UUID.sub("<uuid>", body))
    # Secrets are made anew in each answer, and digests are over all of the above.
    body = re.sub(r"whsec_[A-Za-z0-9+/=]+|[0-9a-f]{64}", "<digest>", body)
    headers = {
        name: value
        for name, value in answer.items()
        if name not in ("X-Request-ID", "Content-Length")
    }
    return answer.status_code, headers, body


def test_every_operation_has_a_request_here() -> None:
    assert OPERATIONS.keys() == routes.OPERATIONS.keys()
    others = {
        route.address
        for route in routes.ROUTES
        if not route.actions and not route.address.startswith("admin/")
    }
    assert others == routes.PUBLIC


def test_every_operation_declares_its_scope() -> None:
    for key, (view, action) in routes.OPERATIONS.items():
        assert issubclass(view, TenantViewSet), key
        assert view.action_scopes[action] in (*Scope.values, ANY_SCOPE), key


@pytest.mark.django_db
def test_own_key_is_answered(alpha: World) -> None:
    """Or all the refusals below would say nothing."""
    client = Client(headers=alpha.headers)
    answers = {}
    for key, operation in OPERATIONS.items():
        with undone():
            answer = operation.send(key, alpha.ids, client=client)
        answers[key] = answer.status_code
        assert answer.status_code == operation.status, f"{key}: {answer.content[:500]!r}"


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


@pytest.mark.django_db
def test_who_has_no_key_is_refused(alpha: World) -> None:
    key, plaintext = issue_key(alpha.tenant)
    _, revoked = issue_key(alpha.tenant)
    _, expired = issue_key(alpha.tenant)
    ApiKey.objects.filter(prefix=revoked.split("_")[1]).update(revoked_at=clock.now())
    ApiKey.objects.filter(prefix=expired.split("_")[1]).update(
        expires_at=clock.now() - timedelta(seconds=1)
    )
    refused: dict[str, dict[str, str]] = {
        "nobody": {},
        "revoked": bearer(revoked),
        "expired": bearer(expired),
        "unknown": bearer("fb_aaaaaaaaaa_" + "b" * 43),
        "another scheme": {"Authorization": f"Token {plaintext}"},
        "half a key": bearer(plaintext[:-1]),
    }
    before = everything_of("alpha")
    for who, headers in refused.items():
        client = Client(headers=headers)
        for name, operation in OPERATIONS.items():
            for method in (None, *(METHODS if who == "nobody" else ())):
                answer = operation.send(name, alpha.ids, client=client, method=method)
                assert answer.status_code == 401, f"{who}, {method} {name}: {answer.content!r}"
                assert answer["WWW-Authenticate"], name
                assert b"alpha" not in answer.content, name
    assert everything_of("alpha") == before
    assert key.is_usable(at=clock.now())


@pytest.mark.django_db
def test_key_without_the_scope_is_refused(alpha: World) -> None:
    without = {
        scope: issue_key(alpha.tenant, scopes=[other for other in Scope if other != scope])[1]
        for scope in Scope
    }
    before = everything_of("alpha")
    for name, operation in OPERATIONS.items():
        view, action = routes.OPERATIONS[name]
        needed = view.action_scopes[action]
        if needed == ANY_SCOPE:
            continue
        client = Client(headers=bearer(without[Scope(needed)]))
        answer = operation.send(name, alpha.ids, client=client)
        assert answer.status_code == 403, f"{name}: {answer.content[:300]!r}"
        assert needed.encode() in answer.content, name
        # HEAD goes by GET.
        if name.startswith("GET"):
            head = operation.send(name, alpha.ids, client=client, method="HEAD")
            assert (head.status_code, head.content) == (403, b""), name
    after = everything_of("alpha")
    # That a key was used is noted.
    assert {table for table in after if after[table] != before[table]} == {"tenancy_apikey"}


@pytest.mark.django_db
def test_method_that_a_route_has_not_is_405(alpha: World) -> None:
    client = Client(headers=alpha.headers)
    by_address: dict[str, set[str]] = {}
    for name in OPERATIONS:
        method, _, address = name.partition(" ")
        by_address.setdefault(address, {"OPTIONS"}).add(method)
    for name, operation in OPERATIONS.items():
        method, _, address = name.partition(" ")
        allowed = by_address.pop(address, None)
        for method in METHODS if allowed else ():
            if method in allowed or (method == "HEAD" and "GET" in allowed):
                continue
            answer = operation.send(name, alpha.ids, client=client, method=method)
            assert answer.status_code == 405, f"{method} {name}"
            assert set(answer["Allow"].split(", ")) >= allowed, f"{method} {name}"


@pytest.mark.django_db
def test_parameter_that_nobody_knows_is_refused_by_name(alpha: World) -> None:
    client = Client(headers=alpha.headers)
    for name, operation in OPERATIONS.items():
        given = replace(operation, query={"surely_unknown": "1"})
        answer = given.send(name, alpha.ids, client=client)
        assert answer.status_code == 400, name
        assert b"surely_unknown" in answer.content, name


@pytest.mark.django_db
def test_key_of_another_tenant_finds_nothing_there(alpha: World) -> None:
    """What is another tenant's is answered as what does not exist, to the byte."""
    _, plaintext = issue_key(Tenant.objects.create(id="beta"))
    client = Client(headers=bearer(plaintext))
    before = everything_of("alpha")
    nothing = missing(alpha.ids)
    for name, operation in OPERATIONS.items():
        for method in (None, "HEAD", "OPTIONS"):
            answers = []
            for ids in (alpha.ids, nothing):
                with undone():
                    answer = operation.send(name, ids, client=client, method=method)
                answers.append(likeness(answer, alpha.ids))
                assert b"of alpha" not in answer.content, name
            assert answers[0] == answers[1], f"{method} {name}"
            if operation.names and method is None:
                _assert_not_found(name, operation, answers[0])
    # And now for good: whatever came of it is not alpha's.
    for name, operation in OPERATIONS.items():
        operation.send(name, alpha.ids, client=client)
    assert everything_of("alpha") == before


# Where naming what is not there is no 404: an empty list, or what became of each.
_SOFT = {
    "GET api/v1/preventions/": '"results":[]',
    "GET api/v1/exports/": '"results":[]',
    "GET api/v1/policy-rules/enabled/": '"enabled":false',
    "POST api/v1/incidents/bulk/": '"status":404',
    # The run is one of its own then.
    "PUT api/v1/runs/<run_id>/trace/": '"incident_id":null',
}


def _assert_not_found(name: str, operation: Operation, answer: tuple[Any, ...]) -> None:
    status, _, body = answer
    if name in _SOFT:
        assert _SOFT[name] in body, f"{name}: {body}"
    else:
        assert status == 404, f"{name}: {status} {body}"


@pytest.mark.django_db
def test_tenants_with_the_same_names_see_their_own(alpha: World) -> None:
    beta = world.build("beta")
    for one, other in ((alpha, beta), (beta, alpha)):
        client = Client(headers=one.headers)
        for name, operation in OPERATIONS.items():
            with undone():
                answer = operation.send(name, one.ids, client=client)
            assert answer.status_code == operation.status, name
            assert f"of {other.mark}".encode() not in answer.content, name


@pytest.mark.django_db
@override_settings(DEBUG=False)
def test_public_addresses_tell_nothing_of_tenants(alpha: World) -> None:
    for address in ("healthz", "readyz", "metrics", "api/schema/", "api/docs/"):
        answer = Client(headers=alpha.headers).get(f"/{address}")
        assert answer.status_code == 200, address
        assert b"alpha" not in answer.content, address
    assert Client().get("/api/v1/nothing/").status_code == 404
