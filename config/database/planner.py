"""Statistics for the planner, while tables are new.

PostgreSQL gathers them by itself, but only within minutes. Until then it takes every table for
small, so that any index that has the tenant first looks as good as the right one, and a flood that
reaches a new database would go through all of a tenant's incidents for each of its reports.
"""

from __future__ import annotations

import time
from typing import Final

from django.db import connection, transaction

# From so many pages on (a quarter of a megabyte) a table is worth it. Once its statistics are of
# as many, PostgreSQL sees to it. One beyond so many (64 MB) did not grow up here, and would hold up
# whoever looks at it.
_PAGES: Final = 32
_MOST_PAGES: Final = 8_192
_EVERY_S: Final = 0.25

_UNKNOWN: Final = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema::regnamespace
    AND c.relpages < %(pages)s AND pg_has_role(c.relowner, 'MEMBER')
    AND pg_relation_size(c.oid) / current_setting('block_size')::int BETWEEN %(pages)s AND %(most)s
"""

_next: float = 0


def inform_once_committed() -> None:
    """Has :func:`inform` done after the transaction; what that comes to changes nothing else."""
    transaction.on_commit(inform, robust=True)


def inform() -> None:
    """Gathers statistics of the tables that have grown up without any.

    It looks four times a second at most, in each process. Not inside a transaction, which would
    keep others from doing so until its end. Tables that somebody else looks at, or changes the
    columns of, are left out.
    """
    global _next
    now = time.monotonic()
    if now < _next:
        return
    _next = now + _EVERY_S
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, {"pages": _PAGES, "most": _MOST_PAGES})
        if tables := [table for (table,) in cursor.fetchall()]:
            cursor.execute(f"ANALYZE (SKIP_LOCKED) {', '.join(tables)}")
