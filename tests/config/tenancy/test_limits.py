"""Limits on how often a tenant may ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from config import clock
from config.errors import RateLimited
from config.tenancy.models import RequestCount
from config.tenancy.services import limits
from tests.config.api.conftest import ApiClient, api, call, tenant
from tests.factories.tenancy import TenantFactory

__all__ = ["api", "call", "tenant"]

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, 0, 20, tzinfo=UTC)


def test_check_refuses_what_is_over_the_limit_until_the_minute_ends() -> None:
    limited = TenantFactory.create(ingest_per_minute=2)
    with clock.pretend(NOON):
        limits.check(tenant=limited, kind="ingest")
        limits.check(tenant=limited, kind="ingest")
        with pytest.raises(RateLimited) as refusal:
            limits.check(tenant=limited, kind="ingest")
        assert refusal.value.retry_after == 40
        limits.check(tenant=limited, kind="read")
    with clock.pretend(NOON + timedelta(seconds=40)):
        limits.check(tenant=limited, kind="ingest")


def test_check_without_a_limit_writes_nothing() -> None:
    limits.check(tenant=TenantFactory.create(), kind="ingest")
    assert not RequestCount.objects.exists()


def test_purge_keeps_this_hour() -> None:
    limited = TenantFactory.create(read_per_minute=2)
    with clock.pretend(clock.now() - timedelta(hours=2)):
        limits.check(tenant=limited, kind="read")
    limits.check(tenant=limited, kind="read")
    assert limits.purge() == 1
    assert RequestCount.objects.count() == 1


def test_request_over_the_limit_is_answered_429(api: ApiClient) -> None:
    api.tenant.read_per_minute = 1
    api.tenant.save()
    with clock.pretend(clock.now()):
        assert api.get("/api/v1/whoami/").status_code == 200
        answer = api.get("/api/v1/whoami/")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        body = b'{"trigger_type": "a"}'
        reported = api.post("/api/v1/alerts/", body, content_type="application/json")
        assert reported.status_code == 201
