"""Append-only tables, held by the database.

A statement trigger refuses UPDATE, DELETE and TRUNCATE, also when no row would be touched, with
SQLSTATE 23514 (check_violation), so that a table of evidence cannot be altered through the ORM or
by SQL. Migrations attach it with :func:`append_only`.
"""

from __future__ import annotations

from django.db import migrations

CREATE_FUNCTION = """
CREATE OR REPLACE FUNCTION firebreak_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its rows are kept as written', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
END
$$
"""


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
