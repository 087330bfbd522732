"""The embedded PostgreSQL: the database when DATABASE_URL is not set.

The first process that needs it makes the cluster and starts the server; the server outlives
that process and serves all others until ``stop`` or a shutdown of the machine. One lock file
beside the data keeps starts and stops apart, and falls with the process that holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from config.database import account as accounts
from config.database import cluster, postmaster
from config.database.account import Account
from config.database.errors import EmbeddedDatabaseError, StartFailed

# Recovery after a crash replays up to max_wal_size; a healthy start takes less than a second.
START_SECONDS = 300.0
STOP_SECONDS = 60.0
# Children notice the death of their server at their next wait, the busy ones a little later.
LINGER_SECONDS = 30.0
POLL_SECONDS = 0.02


def settings(directory: Path) -> dict[str, Any]:
    """The DATABASES entry for the cluster in ``directory``, which is made and started at need.

    Cheap when the server is up: one small file read, one connection to the socket.
    Raises EmbeddedDatabaseError.
    """
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": cluster.DATABASE,
        "USER": cluster.ROLE,
        "PASSWORD": "",
        "HOST": os.fspath(ensure_running(directory)),
        "PORT": str(postmaster.PORT),
    }


def ensure_running(directory: Path) -> Path:
    """Have a server accept connections for ``directory``; the directory of its socket.

    Raises EmbeddedDatabaseError.
    """
    directory = directory.resolve()
    with _one_line_reasons():
        account = accounts.current()
        accounts.check_owner(directory, account=account)
        ready = postmaster.ready_at(directory, uid=account.uid)
        if ready is None:
            with _lock(directory):
                ready = postmaster.ready_at(directory, uid=account.uid) or _start(
                    directory, account=account
                )
        return ready


def stop(directory: Path) -> None:
    """Stop the server of ``directory``, ending its sessions; nothing if there is none.

    Raises EmbeddedDatabaseError.
    """
    directory = directory.resolve()
    with _one_line_reasons():
        accounts.check_owner(directory, account=accounts.current())
        if not directory.exists():
            return
        with _lock(directory):
            found = postmaster.read(directory)
            if found is not None and postmaster.serves(found.pid, directory):
                _end(found.pid, directory)


def is_running(directory: Path) -> bool:
    """Whether a server accepts connections for ``directory`` now."""
    directory = directory.resolve()
    with _one_line_reasons():
        account = accounts.current()
        accounts.check_owner(directory, account=account)
        return postmaster.ready_at(directory, uid=account.uid) is not None


def _start(directory: Path, *, account: Account) -> Path:
    """Bring the server up, whatever state an earlier one left behind; the lock is held."""
    sockets = cluster.socket_directory(directory, account=account)
    found = postmaster.read(directory)
    for pid in postmaster.orphans(directory, uid=account.uid):
        if found is None or pid != found.pid:
            _end(pid, directory, by=(signal.SIGQUIT, signal.SIGKILL))
    if not cluster.check(directory):
        cluster.make(directory, account=account)
    if found is not None and postmaster.serves(found.pid, directory):
        # Somebody else's start or stop, or a server whose socket was swept away.
        if found.status != "stopping" and _await_ready(directory, found.pid, account=account):
            return found.socket_directory or sockets
        _end(found.pid, directory)
    postmaster.disown(directory / "postmaster.pid")
    postmaster.disown(sockets / f".s.PGSQL.{postmaster.PORT}.lock")

    log = directory.with_name(f"{directory.name}.log")
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    deadline = time.monotonic() + LINGER_SECONDS
    while True:
        beginning = log.stat().st_size if log.exists() else 0
        pid = cluster.launch(directory, sockets=sockets, log=log, account=account)
        if _await_ready(directory, pid, account=account):
            return sockets
        said = log.read_bytes()[beginning:].decode(errors="replace")
        lingering = "pre-existing shared memory block" in said
        if not lingering or time.monotonic() > deadline:
            raise StartFailed(
                f"PostgreSQL did not start in {directory}: {cluster.complaint(said)} (see {log})"
            )
        time.sleep(0.2)


def _await_ready(directory: Path, pid: int, *, account: Account) -> bool:
    """Wait for the server ``pid`` to accept; False once it is gone or out of reach."""
    deadline = time.monotonic() + START_SECONDS
    unreachable = 0
    while time.monotonic() < deadline:
        found = postmaster.read(directory)
        if found is not None and found.pid == pid and found.status == "ready":
            if postmaster.ready_at(directory, uid=account.uid):
                return True
            unreachable += 1
            if unreachable > 1 / POLL_SECONDS:
                return False
        if not _alive(pid):
            return False
        time.sleep(POLL_SECONDS)
    return False


def _end(
    pid: int,
    directory: Path,
    *,
    by: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
) -> None:
    """Have the server ``pid`` shut down, politely and then less so."""
    for how in by:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if not _alive(pid):
                return
            time.sleep(POLL_SECONDS)
    raise EmbeddedDatabaseError(f"PostgreSQL (pid {pid}) in {directory} does not stop.")


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Hold the lock beside ``directory``, waiting for another process's start or stop."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    path = directory.with_name(f"{directory.name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StartFailed(
                        f"Another process has held {path} for {START_SECONDS:.0f} s."
                    ) from None
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _one_line_reasons() -> Iterator[None]:
    """Turn what the system refuses into a reason that names the path."""
    try:
        yield
    except OSError as error:
        raise EmbeddedDatabaseError(f"The embedded PostgreSQL cannot be used: {error}.") from error
