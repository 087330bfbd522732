"""Logins: how often one may try, and what the audit log says of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory

from config import clock
from config.operations import logins
from config.operations.addresses import client_address
from config.operations.models import AuditEvent, LoginCount
from tests.factories.people import PASSWORD, person

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, 0, 20, tzinfo=UTC)
LOGIN = "/admin/login/"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with clock.pretend(NOON):
        yield


def log_in(password: str = "wrong", name: str = "root", **extra: Any) -> Any:
    return Client().post(LOGIN, {"username": name, "password": password}, **extra)


def test_sixth_attempt_is_refused_until_the_span_is_over() -> None:
    person(None)
    assert [log_in().status_code for _ in range(5)] == [200] * 5
    refused = log_in(PASSWORD)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "281")
    assert "Try again in 281 s" in refused.content.decode()
    # However it is spelled; but another person, or from elsewhere, is let.
    assert log_in(PASSWORD, " ROOT").status_code == 429
    assert log_in(name="other").status_code == 200
    assert log_in(PASSWORD, REMOTE_ADDR="10.0.0.9").status_code == 302
    with clock.pretend(NOON + timedelta(seconds=281)):
        assert log_in(PASSWORD).status_code == 302
    actions = AuditEvent.objects.filter(actor="root").order_by("created_at", "id")
    assert list(actions.values_list("action", flat=True)) == [
        *["login failed"] * 5,
        "login throttled",
        "login",
        "login",
    ]
    assert actions[0].data == {"address": "127.0.0.1"}


def test_login_forgives_its_own_attempts() -> None:
    person(None)
    for _ in range(3):
        assert [log_in().status_code for _ in range(4)] == [200] * 4
        assert log_in(PASSWORD).status_code == 302


def test_name_is_throttled_from_many_addresses_and_an_address_for_many_names() -> None:
    for number in range(logins.PER_NAME):
        assert logins.attempt(name="root", address=str(number)) is None
    assert logins.attempt(name="root", address="new") == 281
    for number in range(logins.PER_ADDRESS):
        assert logins.attempt(name=str(number), address="one") is None
    assert logins.attempt(name="new", address="one") == 281


def test_purge_forgets_spans_that_are_over() -> None:
    logins.attempt(name="root", address="one")
    assert logins.purge() == 0
    with clock.pretend(NOON + timedelta(minutes=5)):
        assert logins.purge() == 3
    assert not LoginCount.objects.exists()


def test_names_that_no_database_would_store_are_counted_all_the_same() -> None:
    for name in ("a\0b", "x" * 10_000, ""):
        assert log_in(name=name).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "1.1.1.1", "127.0.0.1"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        (2, "1.1.1.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_client_address_believes_only_our_proxies(
    settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client_address(RequestFactory().get("/", headers=headers)) == address
