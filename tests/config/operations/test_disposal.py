"""The one way to delete what is kept, and everybody who may not go it."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from config.actors import Actor
from config.database.protection import DISPOSAL_SETTING, TRANSACTION
from config.operations import audit, disposal
from config.operations.models import AuditEvent
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.models import Event
from tests.factories.facts import alert
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

BY = Actor(via="test")


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create()
    alert(tenant)
    return tenant


def delete_events(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM incidents_event WHERE tenant_id = %s", [tenant.pk])


def refused(tenant: Tenant) -> bool:
    """Whether the owner's path may not delete events at this point."""
    try:
        with transaction.atomic():
            delete_events(tenant)
    except DatabaseError as error:
        return getattr(error.__cause__, "sqlstate", None) == "23514"
    return False


def name_entry(entry: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT set_config('{DISPOSAL_SETTING}', %s, true)", [str(entry)])


def test_logged_lets_the_block_delete_and_nothing_after_it(tenant: Tenant) -> None:
    with disposal.logged("retention", by=BY, tenant_id=tenant.pk, target="x", data={"n": 1}):
        delete_events(tenant)
    assert not Event.objects.for_tenant(tenant).exists()
    event = AuditEvent.objects.get(action="retention")
    assert (event.tenant_id, event.target, event.data["n"]) == (tenant.pk, "x", 1)
    alert(tenant)
    assert refused(tenant)


def test_logged_lets_nobody_change_or_empty_a_table(tenant: Tenant) -> None:
    for statement in ("UPDATE incidents_event SET description = ''", "TRUNCATE incidents_event"):
        with (
            pytest.raises(DatabaseError, match=r"is refused|pending trigger"),
            transaction.atomic(),
            disposal.logged("erasure", by=BY, tenant_id=tenant.pk, target="x", data={}),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_logged_does_not_open_the_audit_log_itself(tenant: Tenant) -> None:
    with (
        pytest.raises(DatabaseError, match="is refused"),
        transaction.atomic(),
        disposal.logged("erasure", by=BY, tenant_id=tenant.pk, target="x", data={}),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM operations_auditevent")


def test_logged_keeps_the_entry_only_if_the_deletion_is_kept(tenant: Tenant) -> None:
    def delete_in_vain() -> None:
        with disposal.logged("retention", by=BY, tenant_id=tenant.pk, target="x", data={}):
            delete_events(tenant)
        raise RuntimeError

    with pytest.raises(RuntimeError), transaction.atomic():
        delete_in_vain()
    assert Event.objects.for_tenant(tenant).exists()
    assert not AuditEvent.objects.filter(action="retention").exists()
    assert refused(tenant)


@pytest.mark.django_db(transaction=True)
def test_logged_outside_a_transaction_is_a_mistake() -> None:
    with (
        pytest.raises(RuntimeError),
        disposal.logged("retention", by=BY, tenant_id="t", target="x", data={}),
    ):
        pass
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_entry_of_an_earlier_transaction_opens_nothing() -> None:
    tenant = TenantFactory.create()
    alert(tenant)
    with (
        transaction.atomic(),
        disposal.logged("retention", by=BY, tenant_id=tenant.pk, target="x", data={}) as event,
    ):
        pass
    with transaction.atomic():
        name_entry(event.pk)
        assert refused(tenant)


def test_naming_what_is_no_such_entry_opens_nothing(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        (current,) = cursor.fetchone()
    other = audit.record("login", by=BY, data={TRANSACTION: current})
    for entry in ("on", "", uuid4(), other.pk):
        name_entry(entry)
        assert refused(tenant)


@pytest.mark.parametrize("role", ["tenant", "staff"])
def test_lesser_roles_cannot_use_it(tenant: Tenant, role: str) -> None:
    def enter() -> object:
        return scope.tenant(tenant.pk) if role == "tenant" else scope.staff([tenant.pk])

    with (
        pytest.raises(DatabaseError, match="permission denied"),
        enter(),  # type: ignore[attr-defined]
        disposal.logged("retention", by=BY, tenant_id=tenant.pk, target="x", data={}),
    ):
        delete_events(tenant)
    assert Event.objects.for_tenant(tenant).exists()


@pytest.mark.parametrize("role", ["tenant", "staff"])
def test_lesser_roles_cannot_use_it_even_where_they_may_delete(tenant: Tenant, role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT DELETE ON incidents_event TO firebreak_{role}")

    def enter() -> object:
        return scope.tenant(tenant.pk) if role == "tenant" else scope.staff([tenant.pk])

    with (
        pytest.raises(DatabaseError, match="is refused") as refusal,
        enter(),  # type: ignore[attr-defined]
        disposal.logged("retention", by=BY, tenant_id=tenant.pk, target="x", data={}),
    ):
        delete_events(tenant)
    assert getattr(refusal.value.__cause__, "sqlstate", None) == "23514"


def test_audit_log_shows_each_role_its_tenants_and_takes_no_other(tenant: Tenant) -> None:
    other = TenantFactory.create()
    for tenant_id in (tenant.pk, other.pk, None):
        audit.record("rule created", by=BY, tenant_id=tenant_id)
    with scope.staff([tenant.pk]):
        assert list(AuditEvent.objects.values_list("tenant_id", flat=True)) == [tenant.pk]
    with pytest.raises(DatabaseError, match="permission denied"), scope.tenant(tenant.pk):
        list(AuditEvent.objects.all())
    for foreign in (other.pk, None):
        for enter in (lambda: scope.tenant(tenant.pk), lambda: scope.staff([tenant.pk])):
            with pytest.raises(DatabaseError, match="row-level security"), enter():
                audit.record("rule created", by=BY, tenant_id=foreign)
