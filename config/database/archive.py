"""Archives of the embedded database: written while it is in use, restored beside it and swapped.

PostgreSQL's own programs do the work (``pg_dump``'s custom format). An archive holds the database
with its triggers, policies and grants. What belongs to the whole server, the lesser roles, is made
before one is restored.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final

import psycopg
from psycopg import sql

from config.database import cluster
from config.database.errors import EmbeddedDatabaseError
from config.database.isolation import CREATE_ROLES

# The table by which an archive of Firebreak's is known.
_KNOWN_BY: Final = "TABLE DATA public tenancy_tenant"
_MAINTENANCE: Final = "postgres"


class ArchiveError(EmbeddedDatabaseError):
    """An archive cannot be written or restored; the message says why, in one line."""


def write(database: Mapping[str, Any], file: IO[bytes]) -> None:
    """Writes the state of one moment into ``file``; nobody waits for it but migrations.

    ``database`` is an entry of DATABASES. Raises ArchiveError.
    """
    _run("pg_dump", database, str(database["NAME"]), "--format=custom", output=file)


def is_empty(database: Mapping[str, Any]) -> bool:
    """Whether the database has no table."""
    with closing(_connect(database, str(database["NAME"]))) as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')"
        ).fetchone()
    return row is None or not row[0]


def restore(database: Mapping[str, Any], path: Path) -> None:
    """Puts the archive in the place of the database, which stays as it is unless all went well.

    Who is connected to it is disconnected. Raises ArchiveError.
    """
    listed = _run("pg_restore", None, None, "--list", str(path))
    if _KNOWN_BY not in listed:
        raise ArchiveError(f"{path} is not an archive of Firebreak's.")
    name = str(database["NAME"])
    draft, replaced = f"{name}_restoring", f"{name}_replaced"
    with closing(_connect(database, _MAINTENANCE)) as connection:
        for leftover in (draft, replaced):
            _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", leftover)
        _execute(connection, "CREATE DATABASE {} TEMPLATE template0", draft)
        try:
            with closing(_connect(database, draft)) as drafted:
                drafted.execute(CREATE_ROLES.encode())
            options = ("--exit-on-error", "--single-transaction", f"--dbname={draft}")
            _run("pg_restore", database, None, *options, str(path))
            with closing(_connect(database, draft)) as drafted:
                # An archive has no statistics, and nothing says which pages all may see.
                drafted.execute("VACUUM (ANALYZE)")
        except BaseException:
            _execute(connection, "DROP DATABASE {} WITH (FORCE)", draft)
            raise
        _swap(connection, name, draft, replaced)


def _swap(connection: psycopg.Connection[Any], name: str, draft: str, replaced: str) -> None:
    _execute(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
    try:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        _execute(connection, "ALTER DATABASE {} RENAME TO {}", name, replaced)
    except psycopg.Error as error:
        _execute(connection, "ALTER DATABASE {} ALLOW_CONNECTIONS true", name)
        _execute(connection, "DROP DATABASE {} WITH (FORCE)", draft)
        raise ArchiveError(f"The database is in use: {str(error).strip()}") from error
    _execute(connection, "ALTER DATABASE {} RENAME TO {}", draft, name)
    _execute(connection, "DROP DATABASE {} WITH (FORCE)", replaced)


def _connect(database: Mapping[str, Any], name: str) -> psycopg.Connection[Any]:
    # Databases are not made and renamed in a transaction.
    return psycopg.connect(
        host=database["HOST"],
        port=database["PORT"] or None,
        user=database["USER"],
        password=database["PASSWORD"] or None,
        dbname=name,
        autocommit=True,
    )


def _execute(connection: psycopg.Connection[Any], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _run(
    program: str,
    database: Mapping[str, Any] | None,
    name: str | None,
    *options: str,
    output: IO[bytes] | int = subprocess.PIPE,
) -> str:
    """What a program of PostgreSQL's printed, unless that went into ``output``."""
    command = [str(cluster.installation() / "bin" / program), *options]
    environment = cluster.environment()
    if database is not None:
        command += [f"--host={database['HOST']}", f"--username={database['USER']}", "--no-password"]
        if database["PORT"]:
            command.append(f"--port={database['PORT']}")
        if database["PASSWORD"]:
            environment["PGPASSWORD"] = str(database["PASSWORD"])
    if name is not None:
        command.append(name)
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise ArchiveError(f"{program} failed: {cluster.complaint(said)}")
    return (done.stdout or b"").decode(errors="replace")
