"""What is logged of a request: whose it was and how it went, and nothing that was sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.test import Client
from pytest_django import Settings

from config.api.views import WhoAmIViewSet
from config.tenancy.models import Tenant
from tests.factories.tenancy import TenantFactory, bearer, issue_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def written(settings: Settings) -> Iterator[StringIO]:
    """What goes to standard error, at level INFO."""
    (handler,) = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
    root, stream, level = logging.getLogger(), handler.stream, logging.getLogger().level
    handler.stream = StringIO()
    root.setLevel("INFO")
    yield handler.stream
    root.setLevel(level)
    handler.stream = stream


def lines(written: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_request_is_logged_with_its_id_and_tenant_and_nothing_that_was_sent(
    written: StringIO,
) -> None:
    tenant: Tenant = TenantFactory.create()
    _, plaintext = issue_key(tenant)
    Client(headers=bearer(plaintext) | {"X-Request-ID": "id-1"}).post(
        "/api/v1/alerts/?shown=a-query",
        b'{"trigger_type": "a", "error_message": "a-payload"}',
        content_type="application/json",
    )
    (line,) = lines(written)
    assert line["tenant"] == tenant.pk
    assert (line["request_id"], line["route"]) == ("id-1", "api/v1/alerts/")
    assert (line["method"], line["status"]) == ("POST", 400)
    for sent in (plaintext, plaintext.split("_")[2], "a-payload", "a-query"):
        assert sent not in written.getvalue()


def test_exception_is_logged_by_its_place_and_kind(
    written: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As it would be in a request, and not in the lines of code that a traceback shows.
    sent = "-".join(["a", "payload"])

    def fail(*_: object) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT %s::text::integer", [sent])
        except DataError as error:
            raise ValueError(sent) from error

    monkeypatch.setattr(WhoAmIViewSet, "retrieve", fail)
    tenant: Tenant = TenantFactory.create()
    _, plaintext = issue_key(tenant)
    client = Client(raise_request_exception=False, headers=bearer(plaintext))
    assert client.get("/api/v1/whoami/").status_code == 500
    failure, request = lines(written)
    assert failure["request_id"] == request["request_id"]
    assert failure["tenant"] == request["tenant"] == tenant.pk
    assert "ValueError\n" in failure["exception"]
    assert "caused by DataError" in failure["exception"]
    assert "in fail" in failure["exception"]
    assert sent not in written.getvalue()
