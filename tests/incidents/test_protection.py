"""Facts, evidence and preventions against SQL, through the application's own connection."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction

from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import RuleMode
from incidents.models import Evidence, Prevention
from incidents.services import costs, evaluations
from tests.factories.facts import alert, fail, make_rule, spend, violate
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

KEPT = [
    "event",
    "evidence",
    "failure",
    "violation",
    "policyevaluation",
    "costrecord",
    "costanomaly",
    "rulerevision",
    "prevention",
]


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create()
    make_rule(tenant, RuleMode.SHADOW, trigger_type="rate_limit")
    alert(tenant)
    fail(tenant)
    violate(tenant)
    spend(tenant)
    costs.record(tenant=tenant, request_id="r", cost_cents=Decimal(1))
    evaluations.record(
        tenant=tenant, run_id="run-1", outcome="ok", policies_checked=1, confidence=1
    )
    return tenant


@pytest.mark.parametrize("model", KEPT)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET created_at = now()",
        "UPDATE {table} SET created_at = now() WHERE false",
        "DELETE FROM {table}",
        "DELETE FROM {table} WHERE false",
        "TRUNCATE {table} CASCADE",
        "INSERT INTO {table} SELECT * FROM {table} LIMIT 1 ON CONFLICT (id) "
        "DO UPDATE SET created_at = now()",
    ],
)
def test_what_is_kept_cannot_be_changed_by_sql(tenant: Tenant, model: str, statement: str) -> None:
    table = apps.get_model("incidents", model)._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), max(created_at) FROM {table}")
        before = cursor.fetchone()
    assert before[0]
    # Or TRUNCATE fails for those that are still to be checked.
    connection.check_constraints()
    with (
        pytest.raises(IntegrityError) as refused,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table=table))
    assert getattr(refused.value.__cause__, "sqlstate", None) == "23514"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), max(created_at) FROM {table}")
        assert cursor.fetchone() == before


@pytest.mark.parametrize("model", KEPT)
def test_a_request_can_neither_change_nor_unlock_what_is_kept(tenant: Tenant, model: str) -> None:
    table = apps.get_model("incidents", model)._meta.db_table
    for statement in (
        f"UPDATE {table} SET created_at = now()",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"DROP TRIGGER {table}_append_only ON {table}",
        "DROP FUNCTION firebreak_append_only() CASCADE",
        "SET LOCAL session_replication_role = replica",
    ):
        with (
            pytest.raises(DatabaseError),
            scope.tenant(tenant.pk),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_replication_role_does_not_switch_the_triggers_off(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE t.tgname = c.relname || '_append_only'"
        )
        enabled = dict(cursor.fetchall())
    for model in KEPT:
        assert enabled[apps.get_model("incidents", model)._meta.db_table] in ("A", b"A")


def test_what_is_kept_cannot_be_changed_by_the_orm(tenant: Tenant) -> None:
    evidence = Evidence.objects.all()[0]
    evidence.kind = "other"
    for change in (
        evidence.save,
        evidence.delete,
        Evidence.objects.all().delete,
        lambda: Prevention.objects.update(mode="active"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
