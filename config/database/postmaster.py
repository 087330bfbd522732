"""What a data directory says about its server: postmaster.pid, the socket, the process."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

PORT = 5432
# Above every pid that a kernel hands out, so that no process can have it.
IMPOSSIBLE_PID = 2**31 - 2


@dataclass(frozen=True, slots=True)
class PidFile:
    """The lines of postmaster.pid that matter; a starting server has not written all of them."""

    pid: int
    socket_directory: Path | None
    status: str


def read(directory: Path) -> PidFile | None:
    """What postmaster.pid says, or None when there is no file or it names no process."""
    try:
        lines = (directory / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdecimal():
        return None
    return PidFile(
        pid=int(lines[0]),
        socket_directory=Path(lines[4]) if len(lines) > 4 and lines[4] else None,
        status=lines[7].strip() if len(lines) > 7 else "",
    )


def accepts(socket_directory: Path, *, uid: int) -> bool:
    """Whether a server of user ``uid`` listens there.

    The owner is asked because a socket outside the data lies under a shared temporary
    directory, where somebody else could put one.
    """
    path = socket_directory / f".s.PGSQL.{PORT}"
    try:
        if path.lstat().st_uid != uid or socket_directory.lstat().st_uid != uid:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(os.fspath(path))
    except (BlockingIOError, TimeoutError):
        return True  # A full queue is a busy server, not an absent one.
    except OSError:
        return False
    return True


def ready_at(directory: Path, *, uid: int) -> Path | None:
    """The socket directory of the server that serves ``directory`` now, or None.

    No question about the pid: a socket that accepts proves more than a number that may have
    been given to another process, or may belong to another container's count.
    """
    found = read(directory)
    if found is None or found.status != "ready" or found.socket_directory is None:
        return None
    return found.socket_directory if accepts(found.socket_directory, uid=uid) else None


def serves(pid: int, directory: Path) -> bool:
    """Whether process ``pid`` is a PostgreSQL server at work in ``directory``.

    A server's working directory is its data; where that may not be asked (root in a container
    without the right to trace), its command line has to do.
    """
    try:
        process = psutil.Process(pid)
        if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
            return False
        try:
            return os.path.samefile(process.cwd(), directory)
        except psutil.AccessDenied:
            return started_for(pid, directory)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def started_for(pid: int, directory: Path) -> bool:
    """Whether process ``pid`` was started as a server with ``-D directory``."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return bool(words) and Path(words[0]).name == "postgres" and os.fspath(directory) in words[1:]


def orphans(directory: Path, *, uid: int) -> list[int]:
    """The servers of user ``uid`` that were started for ``directory`` and whose data is gone.

    They are dangerous: they write pg_control by its full path, into whatever is there now.
    """
    pids = [process.pid for process in psutil.process_iter() if _owner(process) == uid]
    return [pid for pid in pids if started_for(pid, directory) and _works_nowhere(pid)]


def disown(path: Path) -> None:
    """Make a lock file left by a dead server name no living process.

    PostgreSQL clears a dead server's lock files by itself, but refuses to start while the pid
    in them lives, also when that is by now the pid of something else. The file stays, because
    PostgreSQL reads the shared memory's id from it to find children that outlived their server.
    """
    try:
        lines = path.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return
    if not lines:
        path.unlink(missing_ok=True)
        return
    with path.open("r+") as file:
        file.write("".join([f"{IMPOSSIBLE_PID}\n", *lines[1:]]))
        file.truncate()


def _owner(process: psutil.Process) -> int | None:
    try:
        return process.uids().effective
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _works_nowhere(pid: int) -> bool:
    """Whether the working directory of ``pid`` was deleted; assumed where that cannot be asked.

    A server in a container may have been started for a directory of the same name.
    """
    try:
        return os.stat(f"/proc/{pid}/cwd").st_nlink == 0
    except OSError:
        return True
