"""PostgreSQL clusters of a test's own, beside the one that all tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from config.database import account, cluster, embedded, isolation, postmaster
from tests.servers import database_url

START_SECONDS = 60.0


@contextmanager
def primary(directory: Path) -> Iterator[str]:
    """A cluster made as the embedded one is, dropped as it is at the end; its DATABASE_URL."""
    url = database_url(embedded.settings(directory))
    try:
        yield url
    finally:
        found = postmaster.read(directory)
        if found is not None:
            drop(found.pid)


def drop(pid: int) -> None:
    """Ends a server at once, whatever it is about."""
    with suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        server.send_signal(signal.SIGQUIT)
        server.wait(START_SECONDS)


def copy_schema(source: str, target: str) -> None:
    """Gives an empty database the tables of a migrated one, in a fraction of a migration's time.

    And what migrations write: which of them are applied, and nothing else.
    """
    binaries = cluster.installation() / "bin"
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute(isolation.create_roles().sql)  # type: ignore[arg-type]
        owner = connection.info.user
    with psycopg.connect(source) as connection:
        policies_of = f" TO {connection.info.user} "
    dump = [os.fspath(binaries / "pg_dump"), "--no-owner"]
    for options in (["--schema-only"], ["--data-only", "--table=django_migrations"]):
        dumped = subprocess.run([*dump, *options, source], capture_output=True, check=True)
        script = dumped.stdout.replace(policies_of.encode(), f" TO {owner} ".encode())
        # A setting that a server of another version than the program may not know.
        script = script.replace(b"SET transaction_timeout = 0;", b"")
        subprocess.run(
            [os.fspath(binaries / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", target],
            input=script,
            stdout=subprocess.DEVNULL,
            check=True,
        )


class Replica:
    """A streaming replica of a cluster on this machine, which can be paused and killed."""

    def __init__(self, directory: Path, *, primary: Path) -> None:
        self._directory = directory
        self._account = account.current()
        self.log = directory.with_name(f"{directory.name}.log")
        binaries = cluster.installation() / "bin"
        subprocess.run(
            [
                os.fspath(binaries / "pg_basebackup"),
                f"--pgdata={directory}",
                f"--host={primary}",
                f"--username={cluster.ROLE}",
                "--checkpoint=fast",
                "--write-recovery-conf",
            ],
            check=True,
            capture_output=True,
        )
        (directory / f".s.PGSQL.{postmaster.PORT}.lock").unlink(missing_ok=True)  # the primary's
        with (directory / "postgresql.auto.conf").open("a") as file:
            file.write("log_statement = 'all'\nhot_standby_feedback = on\n")
        if self._account.switched:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, self._account.uid, self._account.gid)
        settings = embedded_settings(directory)
        self.url = database_url(settings)
        self.pid = cluster.launch(directory, sockets=directory, log=self.log, account=self._account)
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(psycopg.OperationalError), self.connect():
                return
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def await_position(self, position: str) -> None:
        """Waits until it has replayed that far."""
        deadline = time.monotonic() + START_SECONDS
        with self.connect() as connection:
            while True:
                row = connection.execute(
                    "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position]
                ).fetchone()
                if row == (True,):
                    return
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def kill(self) -> None:
        drop(self.pid)


def embedded_settings(directory: Path) -> dict[str, Any]:
    """As DATABASES would name a cluster whose socket lies in its data."""
    return {
        "USER": cluster.ROLE,
        "PASSWORD": "",
        "HOST": os.fspath(directory),
        "PORT": str(postmaster.PORT),
        "NAME": cluster.DATABASE,
    }
