"""Walks the database itself: what holds tenants apart there, and what its tables promise."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from config.database import isolation
from config.tenancy import scope
from config.tenancy.models import Tenant
from tests.factories import world
from tests.factories.world import World

pytestmark = pytest.mark.django_db

LESSER = (isolation.TENANT_ROLE, isolation.STAFF_ROLE)
OURS = ("tenancy", "operations", "incidents", "lessons", "exports")

# What the lesser roles may do at tables that no tenant owns.
SHARED: dict[tuple[str, str], str] = {
    # The first export registers the key that it makes; anybody may check with public keys.
    ("exports_signingkey", isolation.TENANT_ROLE): "INSERT SELECT",
    ("exports_signingkey", isolation.STAFF_ROLE): "INSERT SELECT",
    # Who is logged in, what they may do, and their own saved lists and log.
    **{
        (table, isolation.STAFF_ROLE): "SELECT"
        for table in (
            "auth_group",
            "auth_group_permissions",
            "auth_permission",
            "auth_user",
            "auth_user_groups",
            "auth_user_user_permissions",
            "django_content_type",
            "tenancy_stafftenant",
        )
    },
    ("django_admin_log", isolation.STAFF_ROLE): "INSERT SELECT",
    ("tenancy_savedview", isolation.STAFF_ROLE): "DELETE INSERT SELECT UPDATE",
}
# Which person may see which tenants is not a tenant's to know.
NOT_ISOLATED = {"tenancy_stafftenant"}
APPEND_ONLY = {
    "operations_auditevent",
    *(
        f"incidents_{name}"
        for name in (
            "event",
            "evidence",
            "failure",
            "violation",
            "policyevaluation",
            "costrecord",
            "costanomaly",
            "rulerevision",
            "prevention",
        )
    ),
    "lessons_lessonevent",
    "lessons_proposalevent",
    "exports_bundle",
    "exports_bundlereview",
}


def rows(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def tenant_models() -> list[type[models.Model]]:
    return [
        model
        for model in apps.get_models()
        if any(field.related_model is Tenant for field in model._meta.concrete_fields)
    ]


ISOLATED = sorted(
    {model._meta.db_table for model in tenant_models()} - NOT_ISOLATED | {"tenancy_tenant"}
)


def test_every_table_of_tenants_is_isolated() -> None:
    forced = {
        table
        for (table,) in rows(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"
        )
    }
    assert set(ISOLATED) <= forced
    assert not NOT_ISOLATED & forced


@pytest.mark.parametrize("table", ISOLATED)
def test_policies_of_a_table_let_each_role_at_its_tenants_only(table: str) -> None:
    column = "id" if table == "tenancy_tenant" else "tenant_id"
    tenant = f"current_setting('{isolation.TENANT_SETTING}'::text, true)"
    tenants = f"current_setting('{isolation.TENANTS_SETTING}'::text, true)"
    allowed = {
        isolation.TENANT_ROLE: f"(({column})::text = {tenant})",
        isolation.STAFF_ROLE: f"(({column})::text = ANY (string_to_array({tenants}, ','::text)))",
        connection.settings_dict["USER"] or rows("SELECT session_user")[0][0]: "true",
    }
    policies = rows(
        "SELECT roles::text[], cmd, permissive, qual, with_check FROM pg_policies "
        "WHERE tablename = %s",
        table,
    )
    assert len(policies) == 3
    for (role,), command, permissive, qual, with_check in policies:
        assert (command, permissive) == ("ALL", "PERMISSIVE")
        assert qual == with_check == allowed.pop(role)
    assert not allowed


def test_lesser_roles_may_do_no_more_than_is_said_here() -> None:
    """Also at what no model knows: a partition is reached by its own name too."""
    granted: dict[tuple[str, str], set[str]] = {}
    for table, role, privilege, isolated in rows(
        "SELECT c.relname, r.rolname, p.privilege, c.relrowsecurity AND c.relforcerowsecurity "
        "FROM pg_class c CROSS JOIN pg_roles r CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', "
        "'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p (privilege) "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND r.rolname = ANY(%s) AND (has_table_privilege(r.rolname, c.oid, p.privilege) OR "
        "p.privilege NOT IN ('DELETE', 'TRUNCATE', 'TRIGGER') "
        "AND has_any_column_privilege(r.rolname, c.oid, p.privilege))",
        list(LESSER),
    ):
        assert privilege not in ("TRUNCATE", "REFERENCES", "TRIGGER"), (table, role, privilege)
        if table in APPEND_ONLY:
            assert privilege in ("SELECT", "INSERT"), (table, role, privilege)
        if not isolated:
            granted.setdefault((table, role), set()).add(privilege)
    assert {place: " ".join(sorted(found)) for place, found in granted.items()} == SHARED


def test_lesser_roles_are_nothing_else() -> None:
    attributes = rows(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, "
        "rolbypassrls FROM pg_roles WHERE rolname = ANY(%s)",
        list(LESSER),
    )
    assert sorted(attributes) == sorted((role, *[False] * 6) for role in LESSER)
    assert not rows(
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member "
        "WHERE r.rolname = ANY(%s)",
        list(LESSER),
    )
    assert not rows(
        "SELECT relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
        "WHERE r.rolname = ANY(%s)",
        list(LESSER),
    )
    # And nobody else has been let in.
    assert not rows(
        "SELECT relname FROM pg_class, aclexplode(relacl) a "
        "WHERE relnamespace = 'public'::regnamespace AND a.grantee = 0"
    )


def test_functions_of_the_owner_keep_to_their_schema_and_are_not_everybodys() -> None:
    for name, configuration, is_trigger, public in rows(
        "SELECT p.proname, p.proconfig, p.prorettype = 'trigger'::regtype, EXISTS ("
        "SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a "
        "WHERE a.grantee = 0) FROM pg_proc p "
        "WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
    ):
        assert any(
            setting.startswith("search_path=") and setting.endswith("pg_temp")
            for setting in configuration or ()
        ), name
        # A function of a trigger cannot be called.
        assert is_trigger or not public, name


@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_append_only_tables_are_guarded_whatever_the_session_sets(table: str) -> None:
    triggers = rows(
        "SELECT tgenabled, tgtype & 1, tgtype & 8 > 0 AND tgtype & 16 > 0 AND tgtype & 32 > 0 "
        "FROM pg_trigger WHERE tgrelid = %s::regclass "
        "AND tgfoid = 'firebreak_append_only'::regproc",
        table,
    )
    # Always, by statement, on DELETE, UPDATE and TRUNCATE.
    assert triggers == [("A", 0, True)]


def may(table: str, privilege: str) -> bool:
    """Whether a request may do this at all at a table."""
    ((allowed,),) = rows(
        "SELECT has_table_privilege(%s, %s, %s) AND NOT EXISTS (SELECT FROM pg_trigger "
        "WHERE tgrelid = %s::regclass AND tgfoid = 'firebreak_append_only'::regproc "
        "AND tgtype & %s > 0)",
        isolation.TENANT_ROLE,
        table,
        privilege,
        table,
        {"DELETE": 8, "UPDATE": 16}[privilege],
    )
    return bool(allowed)


@pytest.fixture
def two(db: None) -> tuple[World, World]:
    return world.build("alpha"), world.build("beta")


def test_nothing_of_another_tenant_is_seen_or_changed_in_any_table(
    two: tuple[World, World],
) -> None:
    """Without any filter: what a query that forgot it would find."""
    for model in tenant_models():
        table = model._meta.db_table
        if table in NOT_ISOLATED:
            continue
        owners = dict(rows(f"SELECT tenant_id, count(*) FROM {table} GROUP BY 1"))
        assert table in _PASSING or owners.keys() == {"alpha", "beta"}, f"{table}: {owners}"
        for name in ("alpha", "nobody"):
            expected = {name: owners[name]} if name in owners else {}
            with scope.tenant(name):
                assert dict(rows(f"SELECT tenant_id, count(*) FROM {table} GROUP BY 1")) == expected
            with scope.staff([name]):
                assert dict(rows(f"SELECT tenant_id, count(*) FROM {table} GROUP BY 1")) == expected
        with scope.staff(["alpha", "beta"]):
            assert dict(rows(f"SELECT tenant_id, count(*) FROM {table} GROUP BY 1")) == owners
        with scope.staff([]):
            assert rows(f"SELECT count(*) FROM {table}") == [(0,)]
        if "alpha" not in owners:
            continue
        for enter in (scope.tenant("alpha"), scope.staff(["alpha"])):
            with pytest.raises(DatabaseError), enter, connection.cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET tenant_id = 'beta'")
        for verb in (f"DELETE FROM {table} WHERE", f"UPDATE {table} SET tenant_id = 'beta' WHERE"):
            refused: Any = nullcontext()
            if not may(table, verb.split()[0]):
                refused = pytest.raises(DatabaseError, match=r"permission denied|is refused")
            with refused, scope.tenant("alpha"), connection.cursor() as cursor:
                cursor.execute(f"{verb} tenant_id = 'beta'")
                assert cursor.rowcount == 0, table
        assert dict(rows(f"SELECT tenant_id, count(*) FROM {table} GROUP BY 1")) == owners


# Filled and emptied by housekeeping.
_PASSING = {"incidents_rollupchange", "incidents_retentionmark"}


@pytest.mark.parametrize("role", LESSER)
def test_lesser_role_outside_any_scope_finds_nothing(two: tuple[World, World], role: str) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {role}")
        for table in ISOLATED:
            assert rows(f"SELECT count(*) FROM {table}") == [(0,)], table
        assert rows("SELECT incidents_found('failure', NULL, NULL)") == [(None,)]
        assert rows("SELECT incidents_found('failure', 'alpha', NULL)") == [(None,)]
        transaction.set_rollback(True)


# Unique keys without the tenant, besides the ids that Firebreak makes: UUIDv7, of which no two are
# alike. config/database/distribute.sql puts the tenant into all of them for Citus.
UNIQUE_WITHOUT_TENANT: dict[str, str] = {
    "tenancy_apikey_digest_key": "a key is looked up before its tenant is known",
    "tenancy_apikey_prefix_key": "a person revokes by it, and a hook names its tenant by it",
    "tenancy_stafftenant_pkey": "belongs to the person",
    "incidents_rollupchange_pkey": "a queue of the whole database, drained by housekeeping",
    "delivery_identity": "of an endpoint, which is one tenant's",
    "proposal_one_draft_of_incident": "of an incident, which is one tenant's",
    "proposal_one_draft_of_lesson": "of a lesson, which is one tenant's",
    "proposal_rule": "of a rule, which is one tenant's",
    "operations_auditevent_pkey": "the log is the operator's; some entries are of no tenant",
}


def test_unique_keys_hold_the_tenant_or_say_why_not() -> None:
    for table, index, only_id, kinds in rows(
        "SELECT t.relname, i.relname, x.indnatts = 1 AND x.indkey[0] = (SELECT attnum FROM "
        "pg_attribute WHERE attrelid = t.oid AND attname = 'id'), (SELECT "
        "string_agg(format_type(atttypid, atttypmod), ',') FROM pg_attribute "
        "WHERE attrelid = t.oid AND attnum = ANY(x.indkey)) FROM pg_index x "
        "JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid "
        "WHERE t.relnamespace = 'public'::regnamespace AND x.indisunique AND EXISTS ("
        "SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'tenant_id') "
        "AND NOT EXISTS ("
        "SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'tenant_id' "
        "AND attnum = ANY(x.indkey))"
    ):
        own_id = only_id and kinds == "uuid"
        assert own_id or index in UNIQUE_WITHOUT_TENANT, f"{table}: {index}"


# Foreign keys that do not hold the tenant, by table and column; config/database/distribute.sql
# puts it into them where tables are spread over machines.
READ_FIRST = "who writes it has read that row in the scope of its tenant, in this transaction"
FOREIGN_WITHOUT_TENANT: dict[str, str] = {
    "exports_bundle.key_id": "signing keys are the installation's",
    "tenancy_stafftenant.user_id": "people are the installation's",
    **dict.fromkeys(
        (
            "exports_bundlereview.bundle_id",
            "incidents_costanomaly.incident_id",
            "incidents_event.incident_id",
            "incidents_evidence.incident_id",
            "incidents_evidence.failure_id",
            "incidents_evidence.violation_id",
            "incidents_failure.incident_id",
            "incidents_incidentagent.incident_id",
            "incidents_incidentrun.incident_id",
            "incidents_rulerevision.rule_id",
            "incidents_step.trace_id",
            "incidents_trace.incident_id",
            "incidents_violation.incident_id",
            "incidents_webhookattempt.delivery_id",
            "incidents_webhookdelivery.endpoint_id",
            "lessons_lesson.incident_id",
            "lessons_lesson.proposal_id",
            "lessons_lessonevent.lesson_id",
            "lessons_proposal.incident_id",
            "lessons_proposal.lesson_id",
            "lessons_proposalevent.proposal_id",
        ),
        READ_FIRST,
    ),
}


def test_foreign_keys_hold_the_tenant_or_say_why_not() -> None:
    for table, columns, definition in rows(
        "SELECT conrelid::regclass::text, (SELECT array_agg(attname::text ORDER BY attnum) "
        "FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)), "
        "pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' "
        "AND connamespace = 'public'::regnamespace AND conparentid = 0 AND EXISTS ("
        "SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'tenant_id')"
    ):
        if "tenant_id" in columns:
            continue
        (column,) = columns
        assert f"{table}.{column}" in FOREIGN_WITHOUT_TENANT, definition


# Fields with choices whose tables have no CHECK on them: only triggers and services write them,
# from columns that have one.
UNCHECKED = {
    "incidents_rollupday.severity": "summed from incidents",
    "incidents_rollupcategory.resolution_method": "summed from incidents",
}


ENUMS = [
    pytest.param(model, field, id=f"{model._meta.db_table}.{field.column}")
    for model in apps.get_models()
    if model._meta.app_label in OURS
    for field in model._meta.concrete_fields
    if field.choices
]


@pytest.mark.parametrize(("model", "field"), ENUMS)
def test_enum_is_known_to_the_database(model: type[models.Model], field: Any) -> None:
    table, column = model._meta.db_table, field.column
    if f"{table}.{column}" in UNCHECKED:
        return
    values = [value for value, _ in field.flatchoices]
    bogus = 99 if isinstance(values[0], int) else "?"
    for (definition,) in rows(
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint "
        "WHERE conrelid = %s::regclass AND contype = 'c'",
        table,
    ):
        # Of a row that holds nothing else; what it says of nulls is not asked here.
        ((refused,),) = rows(
            f"SELECT ({definition}) IS FALSE FROM "
            f"jsonb_populate_record(NULL::{table}, jsonb_build_object(%s::text, %s)) AS {table}",
            column,
            bogus,
        )
        # Some outcomes leave no row. What is about one state alone is no list of them.
        if refused and sum(repr(value) in definition for value in values) >= min(2, len(values)):
            return
    pytest.fail(f"no CHECK keeps {table}.{column} to {values}")
