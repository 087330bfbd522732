"""How long requests wait for the database, and what they are answered when that is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from config import housekeeping
from config.database import patience
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import Status
from incidents.models import Incident
from tests.factories.facts import make_incident
from tests.factories.people import PASSWORD, person
from tests.factories.tenancy import TenantFactory, bearer, issue_key

pytestmark = pytest.mark.django_db(transaction=True)


def in_force() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"
        )
        statement, lock = cursor.fetchone()
    return statement, lock


def test_limits_hold_in_the_transactions_of_requests_and_nowhere_else() -> None:
    TenantFactory.create(id="northwind")
    plain = in_force()
    entered: tuple[Any, ...] = (
        scope.tenant("northwind"),
        scope.staff(["northwind"]),
        scope.everything(),
    )
    with patience.of_a_request():
        for one in entered:
            with one:
                assert in_force() == ("30s", "20s")
            assert in_force() == plain
    for one in (scope.tenant("northwind"), scope.everything()):
        with one:
            assert in_force() == plain


@pytest.fixture
def held() -> Iterator[Incident]:
    """An incident whose row another connection has locked."""
    incident = make_incident(TenantFactory.create(id="northwind"), call_id="1")
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM incidents_incident FOR UPDATE")
            yield incident
            cursor.execute("ROLLBACK")
    finally:
        other.close()


def client_of(tenant_id: str) -> Client:
    _, plaintext = issue_key(Tenant.objects.get(pk=tenant_id))
    return Client(headers=bearer(plaintext))


@pytest.mark.parametrize("setting", ["REQUEST_LOCK_SECONDS", "REQUEST_STATEMENT_SECONDS"])
def test_request_that_waits_too_long_is_answered_503(
    held: Incident, settings: Settings, setting: str
) -> None:
    setattr(settings, setting, 0.2)
    client = client_of(held.tenant_id)
    posts = [
        (f"/api/v1/incidents/{held.pk}/acknowledge/", b"{}"),
        ("/api/v1/alerts/", b'{"trigger_type": "rate_limit", "call_id": "2"}'),
    ]
    for address, body in posts:
        answer = client.post(address, body, content_type="application/json")
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["code"] == "unavailable"
    held.refresh_from_db()
    assert (held.status, held.calls_affected) == (Status.OPEN, 1)


@pytest.mark.parametrize("role", [None, "responder"])
def test_person_who_waits_too_long_is_told_so(
    held: Incident, settings: Settings, role: str | None
) -> None:
    settings.REQUEST_LOCK_SECONDS = 0.2
    user = person(role, Tenant.objects.get())
    client = Client(raise_request_exception=False)
    client.login(username=user.username, password=PASSWORD)
    answer = client.post(
        reverse("admin:incidents_incident_act", args=[held.pk, "acknowledge"]), {"note": ""}
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert b"try again" in answer.content


def test_housekeeping_waits_as_long_as_it_takes(settings: Settings) -> None:
    settings.REQUEST_STATEMENT_SECONDS = 0.001
    make_incident(TenantFactory.create(), call_id="1")
    assert [result for _, result in housekeeping.run() if isinstance(result, Exception)] == []
