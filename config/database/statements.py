"""Running a prepared statement on Django's own connection.

Django binds parameters on the client, which rules out binary parameters and prepared statements;
the ingest path needs both. The cursor here is psycopg's own, on the connection and in the
transaction that Django holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connections
from psycopg.pq import ExecStatus

from config.database import arrays, routing

Statement = tuple[str, Sequence[Any]]
"""A statement and its parameters."""


def run(
    statement: str,
    parameters: Sequence[Any] | Mapping[str, Any],
    *,
    prepare: bool = True,
    using: str | None = None,
) -> list[Any]:
    """The rows of ``statement``, as tuples; an empty list when it returns none.

    ``using`` names another database than the one that this thread reads from. Not to
    ``prepare`` a statement is to have it planned anew, for the very values it is run with: these
    are then part of its text, so that this holds in a transaction that plans once, too, but for
    packed arrays, which no text can hold. Raises Django's own database errors.
    """
    connection = connections[using or routing.current()]
    connection.ensure_connection()
    given = parameters.values() if isinstance(parameters, Mapping) else parameters
    is_packed = any(isinstance(value, arrays.PACKED) for value in given)
    bound = prepare or is_packed
    kind = psycopg.Cursor if bound else psycopg.ClientCursor
    with connection.wrap_database_errors, kind(connection.connection) as cursor:
        # Rows in binary where that is possible: reading times as text takes Python.
        cursor.execute(statement, parameters, prepare=prepare, binary=bound)
        return _rows(cursor)


def run_together(statements: Iterable[Statement], *, using: str | None = None) -> list[list[Any]]:
    """The rows of each of the statements, all sent on one way to the database.

    They run one after the other; when one fails, those after it do not run. Only inside a
    transaction. Raises Django's own database errors.
    """
    connection = connections[using or routing.current()]
    with connection.wrap_database_errors:
        with connection.connection.pipeline():
            cursors = [
                psycopg.Cursor(connection.connection).execute(
                    statement, parameters, prepare=True, binary=True
                )
                for statement, parameters in statements
            ]
        return [_rows(cursor) for cursor in cursors]


def _rows(cursor: psycopg.Cursor[Any]) -> list[Any]:
    result = cursor.pgresult
    # Not cursor.description, which makes an object for every column.
    has_rows = result is not None and result.status == ExecStatus.TUPLES_OK
    return cursor.fetchall() if has_rows else []
