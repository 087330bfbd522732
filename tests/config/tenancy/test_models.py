from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from config import clock
from config.tenancy.models import AGGREGATION_RANGES, AggregationConfig, ApiKey, Tenant
from tests.factories.tenancy import TenantFactory, issue_key

pytestmark = pytest.mark.django_db


def test_aggregation_by_default() -> None:
    assert TenantFactory.create().aggregation == AggregationConfig(300, 20, 60, 900, 24)


def test_aggregation_with_overrides() -> None:
    tenant = TenantFactory.create(incidents_per_hour=0, cooldown_seconds=5)
    assert tenant.aggregation == AggregationConfig(incidents_per_hour=0, cooldown_seconds=5)


@pytest.mark.parametrize("tenant_id", ["", "A", "a_b", "a b", "a\n", "é"])
def test_tenant_id_shape_is_held_by_the_database(tenant_id: str) -> None:
    with pytest.raises(IntegrityError, match="tenant_id_shape"):
        Tenant.objects.create(id=tenant_id)


@pytest.mark.parametrize("name", AGGREGATION_RANGES)
def test_override_range_is_held_by_the_database(name: str) -> None:
    low, high = AGGREGATION_RANGES[name]
    tenant = TenantFactory.create(**{name: low})
    Tenant.objects.update(**{name: high})
    for beyond in (low - 1, high + 1):
        with pytest.raises(IntegrityError, match=f"tenant_{name}_range"), transaction.atomic():
            Tenant.objects.filter(pk=tenant.pk).update(**{name: beyond})


@pytest.mark.parametrize("scopes", [[], ["read", "write"], [None]])
def test_scopes_are_held_by_the_database(scopes: list[str]) -> None:
    with pytest.raises(IntegrityError, match="api_key_scopes_known"):
        ApiKey.objects.create(
            tenant=TenantFactory.create(), name="n", prefix="p", digest=b"d", scopes=scopes
        )


def test_digest_and_prefix_are_unique() -> None:
    key, _ = issue_key()
    for other in ({"prefix": key.prefix, "digest": b"d"}, {"prefix": "p", "digest": key.digest}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiKey.objects.create(tenant=key.tenant, name="n", scopes=["read"], **other)


def test_ids_are_uuid7() -> None:
    key, _ = issue_key()
    assert key.pk.version == 7


def test_for_tenant_and_as_of() -> None:
    from config.tenancy.querysets import TenantScopedQuerySet

    mine, _ = issue_key()
    issue_key()
    rows = TenantScopedQuerySet(ApiKey)
    assert list(rows.for_tenant(mine.tenant)) == [mine]
    assert list(rows.for_tenant(mine.tenant.pk)) == [mine]
    assert rows.as_of(None).count() == 2
    assert list(rows.as_of(mine.created_at)) == [mine]
    assert rows.as_of(clock.now()).count() == 2
