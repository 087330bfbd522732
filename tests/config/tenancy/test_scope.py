"""What a transaction of one tenant sees, whatever it forgets to ask."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from config.database import isolation
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.models import Alert, Event, Incident, OutcomeTally
from incidents.services import aggregation
from incidents.services.reports import Report
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def two() -> tuple[Tenant, Tenant]:
    """Two tenants with an incident each."""
    tenants = TenantFactory.create(), TenantFactory.create()
    for tenant in tenants:
        aggregation.absorb(tenant=tenant, alerts=[Report(trigger_type="a", call_id="c")])
    return tenants


def role() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text")
        (found,) = cursor.fetchone()
        return str(found)


@pytest.mark.parametrize("model", [Incident, Alert, Event, OutcomeTally])
def test_tenant_sees_only_its_own_without_a_filter(
    two: tuple[Tenant, Tenant], model: type[models.Model]
) -> None:
    assert model._default_manager.count() == 2
    for tenant in two:
        with scope.tenant(tenant.pk):
            owners = set(model._default_manager.values_list("tenant_id", flat=True))
            assert owners == {tenant.pk}
    with scope.tenant("nobody"):
        assert model._default_manager.count() == 0


def test_tenant_cannot_change_or_write_anothers_rows(two: tuple[Tenant, Tenant]) -> None:
    mine, other = two
    foreign = Incident.objects.get(tenant=other)
    with scope.tenant(mine.pk):
        assert Incident.objects.filter(pk=foreign.pk).update(title="mine") == 0
    with pytest.raises(DatabaseError, match="row-level security"), scope.tenant(mine.pk):
        OutcomeTally.objects.filter(tenant=mine).update(tenant_id=other.pk)
    foreign.refresh_from_db()
    assert foreign.title != "mine"


def test_lesser_role_without_a_tenant_sees_nothing(two: tuple[Tenant, Tenant]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {isolation.TENANT_ROLE}")
        cursor.execute("SELECT count(*) FROM incidents_incident")
        assert cursor.fetchone() == (0,)
        cursor.execute("RESET ROLE")


@pytest.mark.parametrize("table", ["auth_user", "django_session", "operations_auditevent"])
def test_lesser_role_may_not_read_what_tenants_do_not_own(table: str) -> None:
    with (
        pytest.raises(DatabaseError, match="permission denied"),
        scope.tenant("anybody"),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT 1 FROM {table}")


def test_tenant_leaves_nothing_behind() -> None:
    before = role()
    with scope.tenant("a"):
        assert role() == isolation.TENANT_ROLE
        with scope.tenant("a"):
            assert role() == isolation.TENANT_ROLE
        assert role() == isolation.TENANT_ROLE
    assert role() == before
    with pytest.raises(ZeroDivisionError), scope.tenant("a"):
        1 / 0  # noqa: B018
    assert role() == before


def test_tenant_within_anothers_is_refused() -> None:
    with scope.tenant("a"), pytest.raises(RuntimeError, match="began with"), scope.tenant("b"):
        pass


@pytest.mark.django_db(transaction=True)
def test_tenant_leaves_nothing_behind_on_the_connection() -> None:
    before = role()
    with scope.tenant("a"):
        assert role() == isolation.TENANT_ROLE
    assert role() == before
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.django_db(transaction=True)
def test_what_need_not_be_durable_does_not_make_the_transaction_around_it_so() -> None:
    def commits() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    usual = commits()
    with scope.tenant("mine", durable=False):
        assert commits() == "off"
    with transaction.atomic():
        with scope.tenant("mine", durable=False):
            assert commits() == usual
        assert commits() == usual
    assert commits() == usual != "off"


def test_every_table_of_tenants_is_isolated() -> None:
    tables = {
        model._meta.db_table
        for model in apps.get_models()
        if any(
            field.is_relation and field.related_model is Tenant
            for field in model._meta.concrete_fields
        )
    }
    assert {"incidents_incident", "tenancy_apikey"} <= tables
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        isolated = {table for (table,) in cursor.fetchall()}
    # Which person may see which tenants is not a tenant's to know.
    assert tables - isolated == {"tenancy_stafftenant"}
