"""Append-only tables, held by the database.

A statement trigger refuses UPDATE, DELETE and TRUNCATE, also when no row would be touched, with
SQLSTATE 23514 (check_violation), so that a table of evidence cannot be altered through the ORM or
by SQL. Migrations attach it with :func:`append_only`.

One thing passes: a DELETE by the tables' owner, in a transaction that has written into the audit
log that it retires or erases, and named that entry (``config.operations.disposal`` does both). A
request cannot: its role is not the owner, and may not delete there in the first place. Nothing
passes for the audit log itself.
"""

from __future__ import annotations

from typing import Final

from django.db import migrations

# What names, for a transaction, the entry of the audit log that lets it delete.
DISPOSAL_SETTING: Final = "firebreak.disposal"
RETENTION: Final = "retention"
ERASURE: Final = "erasure"
# The key under which that entry holds the id of its own transaction.
TRANSACTION: Final = "transaction"
_AUDIT_LOG: Final = "operations_auditevent"

CREATE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION firebreak_disposes(relation oid) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    entry text := current_setting('{DISPOSAL_SETTING}', true);
BEGIN
    IF coalesce(entry, '') !~ '^[0-9a-f-]{{36}}$' THEN
        RETURN false;
    END IF;
    -- Apart from what follows: a lesser role may not even read the log.
    IF NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_roles owner ON owner.oid = c.relowner
        WHERE c.oid = relation AND owner.rolname = current_user AND c.relname <> '{_AUDIT_LOG}'
    ) THEN
        RETURN false;
    END IF;
    RETURN EXISTS (
        SELECT FROM {_AUDIT_LOG} a
        WHERE a.id = entry::uuid AND a.action IN ('{RETENTION}', '{ERASURE}')
            AND a.data ->> '{TRANSACTION}' = pg_current_xact_id()::text
    );
END
$$;
CREATE OR REPLACE FUNCTION firebreak_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND firebreak_disposes(TG_RELID) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% on % is refused: its rows are kept as written', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
END
$$
"""  # noqa: S608 - only our own constants are interpolated


def append_only(*tables: str) -> list[migrations.RunSQL]:
    """The migration operations that make ``tables`` append-only from then on."""
    operations = [migrations.RunSQL(CREATE_FUNCTION, migrations.RunSQL.noop)]
    for table in tables:
        trigger = f"{table}_append_only"
        operations.append(
            migrations.RunSQL(
                f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION firebreak_append_only(); "
                # ALWAYS: session_replication_role does not switch it off.
                f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}",
                f"DROP TRIGGER {trigger} ON {table}",
            )
        )
    return operations
