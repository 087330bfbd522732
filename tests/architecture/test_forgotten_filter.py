"""Plants forgotten filters, everywhere at once, and shows that nothing leaks.

Every comparison of a tenant with a parameter is made true in the very SQL that is sent, whatever
built it: viewsets, querysets, services, statements by hand. What is then left to hold tenants
apart is the database's own row security.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
import pytest
from django.test import Client

from config.api.views import TenantViewSet
from config.tenancy import scope
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.models import Incident
from incidents.views.incidents import IncidentViewSet
from tests.architecture import routes
from tests.architecture.operations import OPERATIONS
from tests.architecture.test_access import everything_of, likeness, missing, undone
from tests.factories import world
from tests.factories.people import person
from tests.factories.tenancy import bearer, issue_key
from tests.factories.world import World

pytestmark = pytest.mark.django_db

_FILTER = re.compile(
    r"""((?:"?\w+"?\.)?"?tenant_id"?)\s*=\s*"""
    r"""(%s|\(SELECT %s\)|%\(tenant\)s|ANY\s*\(\s*%s\s*\))""",
    re.IGNORECASE,
)
# Writing needs its tenant: there a forgotten one is no leak, but a row without an owner.
_WRITES = re.compile(r"^\s*(INSERT|SET)\b", re.IGNORECASE)


@contextmanager
def no_filters(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Until the block ends no statement tells tenants apart; those that did are collected."""
    plain = psycopg.Cursor.execute
    forgotten: list[str] = []

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(query, str) and not _WRITES.match(query):
            changed = _FILTER.sub(r"(\1 = \2 OR true)", query)
            if changed != query:
                forgotten.append(query)
                query = changed
        return plain(self, query, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute)
        yield forgotten


@pytest.fixture
def beta(alpha: World) -> Client:
    """A client of a tenant that has nothing; that nobody else has is what it may see."""
    _, plaintext = issue_key(Tenant.objects.create(id="beta"))
    return Client(headers=bearer(plaintext))


def readings() -> list[str]:
    return [name for name in OPERATIONS if name.startswith("GET")]


def test_no_operation_leaks_when_every_filter_is_forgotten(
    alpha: World, beta: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything_of("alpha")
    nothing = missing(alpha.ids)
    for name, operation in OPERATIONS.items():
        with undone():
            expected = likeness(operation.send(name, nothing, client=beta), alpha.ids)
        with undone(), no_filters(monkeypatch):
            answer = operation.send(name, alpha.ids, client=beta)
        assert b"of alpha" not in answer.content, name
        assert likeness(answer, alpha.ids) == expected, name
    # What is written under forgotten filters touches nobody else's rows either.
    with no_filters(monkeypatch):
        for name, operation in OPERATIONS.items():
            operation.send(name, alpha.ids, client=beta)
    assert everything_of("alpha") == before


def test_without_row_security_the_planted_fault_would_leak(
    alpha: World, beta: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the tests here can fail: the same fault on the owner's path."""
    monkeypatch.setattr(scope, "tenant", lambda tenant_id, **options: nullcontext())
    leaking = set()
    with no_filters(monkeypatch) as forgotten:
        for name in readings():
            with undone():
                answer = OPERATIONS[name].send(name, alpha.ids, client=beta)
            if b"alpha" in answer.content or answer.status_code == 200:
                leaking.add(name)
    assert len(forgotten) > 50
    # Every operation but the one that reads nothing but the key.
    assert leaking == set(readings()), set(readings()) - leaking


@pytest.mark.parametrize("kind", ["viewset", "base viewset", "queryset"])
def test_list_and_detail_with_a_queryset_of_everything(
    alpha: World, beta: Client, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The fault as a person would make it."""
    if kind == "viewset":
        monkeypatch.setattr(IncidentViewSet, "get_queryset", lambda self: Incident.objects.all())
    elif kind == "base viewset":
        monkeypatch.setattr(
            TenantViewSet, "get_queryset", lambda self: self.queryset.model._default_manager.all()
        )
    else:
        monkeypatch.setattr(TenantScopedQuerySet, "for_tenant", lambda self, tenant: self.all())
    assert Incident.objects.count() > 1
    assert beta.get("/api/v1/incidents/").json()["results"] == []
    assert beta.get("/api/v1/incidents/count/").json() == {"count": 0}
    one = f"/api/v1/incidents/{alpha.ids['incident']}/"
    assert beta.get(one).status_code == 404
    assert beta.get(f"{one}events/").status_code == 404
    acknowledged = beta.post(f"{one}acknowledge/", b"{}", content_type="application/json")
    assert acknowledged.status_code == 404
    assert beta.get("/api/v1/exports/").json()["results"] == []


def test_admin_of_limited_staff_leaks_nothing_when_every_filter_is_forgotten(
    alpha: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.build("beta")
    staff = Client()
    staff.force_login(person("administrator", other.tenant))
    root = Client()
    root.force_login(person(None))
    shown = 0
    with no_filters(monkeypatch) as forgotten:
        for place, model in routes.registered().items():
            if "tenant_id" not in {field.attname for field in model._meta.concrete_fields}:
                continue
            page = staff.get(f"/{place}")
            assert b"of alpha" not in page.content, place
            assert b">alpha<" not in page.content, place
            shown += b"of alpha" in root.get(f"/{place}").content
        assert b"of alpha" not in staff.get("/admin/").content
        assert b"of alpha" not in staff.get("/admin/search/?s=alpha").content
    assert forgotten
    # A superuser does see alpha's on such pages, or the above would say nothing.
    assert shown >= 5
