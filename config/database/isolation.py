"""Isolation of tenants by the database: row-level security on every table that tenants own.

The login role owns the tables and has a path of its own (migrations, housekeeping, superusers in
the admin). A request takes a lesser role for its transaction, which owns nothing and sees only
the rows of the tenant, or for staff the tenants, that the transaction names: a query that forgets
its filter returns nothing of anybody else. Security is forced, so that it binds the owner too
but for the policy that lets its path through. Migrations attach all this with :func:`isolate`.
"""

from __future__ import annotations

from typing import Final

from django.db import migrations

TENANT_ROLE: Final = "firebreak_tenant"
STAFF_ROLE: Final = "firebreak_staff"
TENANT_SETTING: Final = "firebreak.tenant"
TENANTS_SETTING: Final = "firebreak.tenants"

READ_WRITE: Final = "SELECT, INSERT, UPDATE, DELETE"
APPEND: Final = "SELECT, INSERT"
READ: Final = "SELECT"

# Roles belong to the whole cluster, so that another database's migration may be making them at
# this moment: what it has done already is as good as done.
CREATE_ROLES = f"""
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['{TENANT_ROLE}', '{STAFF_ROLE}'] LOOP
        FOR attempt IN 1..50 LOOP
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                    EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
                END IF;
                IF NOT EXISTS (
                    SELECT FROM pg_auth_members m
                    JOIN pg_roles granted ON granted.oid = m.roleid
                    JOIN pg_roles member ON member.oid = m.member
                    WHERE granted.rolname = wanted AND member.rolname = current_user
                ) THEN
                    EXECUTE format('GRANT %I TO %I', wanted, current_user);
                END IF;
                EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', wanted);
                EXIT;
            EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN
                IF attempt = 50 THEN RAISE; END IF;
                PERFORM pg_sleep(0.02);
            END;
        END LOOP;
    END LOOP;
END
$$
"""  # noqa: S608 - only our own constants are interpolated


def create_roles() -> migrations.RunSQL:
    """Creates the lesser roles, once in a cluster, and lets the login role take them."""
    return migrations.RunSQL(CREATE_ROLES, migrations.RunSQL.noop)


def isolate(
    *tables: str, column: str = "tenant_id", privileges: str = READ_WRITE
) -> list[migrations.RunSQL]:
    """The operations that let the lesser roles at these tables, but only at their tenant's rows.

    ``column`` holds the tenant's id; ``privileges`` is what the lesser roles may do at all.
    """
    operations = []
    for table in tables:
        tenant = f"{column} = current_setting('{TENANT_SETTING}', true)"
        tenants = (
            f"{column} = ANY(string_to_array(current_setting('{TENANTS_SETTING}', true), ','))"
        )
        operations.append(
            migrations.RunSQL(
                f"""
                ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
                ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
                CREATE POLICY {table}_owner ON {table} TO CURRENT_USER
                    USING (true) WITH CHECK (true);
                CREATE POLICY {table}_tenant ON {table} TO {TENANT_ROLE}
                    USING ({tenant}) WITH CHECK ({tenant});
                CREATE POLICY {table}_staff ON {table} TO {STAFF_ROLE}
                    USING ({tenants}) WITH CHECK ({tenants});
                GRANT {privileges} ON {table} TO {TENANT_ROLE}, {STAFF_ROLE};
                """,
                f"""
                REVOKE ALL ON {table} FROM {TENANT_ROLE}, {STAFF_ROLE};
                DROP POLICY {table}_staff ON {table};
                DROP POLICY {table}_tenant ON {table};
                DROP POLICY {table}_owner ON {table};
                ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
                ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
                """,
            )
        )
    return operations


def share(
    *tables: str, privileges: str, roles: str = f"{TENANT_ROLE}, {STAFF_ROLE}"
) -> list[migrations.RunSQL]:
    """Lets the lesser roles at tables that belong to no tenant."""
    return [
        migrations.RunSQL(
            f"GRANT {privileges} ON {table} TO {roles}", f"REVOKE ALL ON {table} FROM {roles}"
        )
        for table in tables
    ]
