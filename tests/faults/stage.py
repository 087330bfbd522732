"""Where the trouble is made: a cluster, the server and housekeeping, all of the run's own."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from config.database import embedded, postmaster
from tests.servers import ROOT, Server, _await_answer, database_url, free_port, granian

# What the disk holds, when it can be made small: it takes as long to fill as it is large.
DISK_BYTES = 384 * 2**20
DISK_BYTES_A_SECOND = 2**20
# Left at most when the disk is "full": less than PostgreSQL needs for its next segment.
LEFT_BYTES = 64 * 2**10


class Stage:
    """What runs, and the ways to hurt it. ``small_disk`` says whether the disk can be filled."""

    def __init__(self, directory: Path, *, small_disk: bool) -> None:
        self.small_disk = small_disk
        self.log = directory / "server.log"
        self._disk = directory / "disk"
        self._data = self._disk / "pg"
        self._skew = directory / "skew.json"
        self.skew({})
        self.url = database_url(embedded.settings(self._data))
        with self.connect() as connection:
            # A checkpoint now and then, and no more log than the disk has room for.
            connection.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
            connection.execute("ALTER SYSTEM SET checkpoint_timeout = '30s'")
            connection.execute("SELECT pg_reload_conf()")
        self.environment = {
            **os.environ,
            "DEBUG": "0",
            "SECRET_KEY": "faults" * 10,
            "LOG_LEVEL": "WARNING",
            "DATABASE_URL": self.url,
            "SKEW_FILE": os.fspath(self._skew),
            "SIGNING_KEY_FILE": os.fspath(directory / "signing.pem"),
            "METRICS_DIR": os.fspath(directory / "metrics"),
        }
        self.server: Server

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the owner's, which sees every tenant."""
        return psycopg.connect(self.url, autocommit=True)

    # PostgreSQL

    def stop_database(self, how: signal.Signals) -> None:
        """SIGINT ends its sessions and shuts it down; SIGQUIT drops it as it is."""
        found = postmaster.read(self._data)
        if found is None:
            return
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(found.pid)
            server.send_signal(how)
            server.wait(60)

    def start_database(self) -> None:
        embedded.ensure_running(self._data)

    def kill_backend(self) -> None:
        """One session's process by SIGKILL, whereupon PostgreSQL ends all and recovers."""
        found = postmaster.read(self._data)
        assert found is not None
        for child in psutil.Process(found.pid).children():
            with suppress(psutil.NoSuchProcess):
                if "firebreak firebreak" in " ".join(child.cmdline()):
                    child.kill()
                    return

    def cut_connections(self) -> None:
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    # the disk

    def fill_disk(self) -> None:
        step = 2**26
        with (self._disk / "filler").open("wb") as file:
            while step >= LEFT_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), step)
                    file.seek(step, os.SEEK_CUR)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2

    def free_disk(self) -> None:
        (self._disk / "filler").unlink()

    def refusals_for_space(self) -> int:
        """How often PostgreSQL told the server that its disk is full."""
        return self.log.read_bytes().count(b"No space left on device")

    # the server

    def workers(self) -> list[psutil.Process]:
        """Its workers, the eldest first."""
        try:
            children = psutil.Process(self.server.process.pid).children()
        except psutil.NoSuchProcess:
            return []
        found = []
        for child in children:
            with suppress(psutil.NoSuchProcess):
                if "resource_tracker" not in " ".join(child.cmdline()):
                    found.append((child.create_time(), child.pid, child))
        return [child for _, _, child in sorted(found, key=lambda one: one[:2])]

    def skew(self, seconds: dict[int, float]) -> None:
        """Puts the clocks of these workers so far ahead, and of all others right."""
        draft = self._skew.with_suffix(".new")
        draft.write_text(json.dumps(seconds))
        draft.replace(self._skew)


class Housekeeping:
    """``housekeeping --every 1``, started again whenever it ends, as systemd would."""

    def __init__(self, stage: Stage) -> None:
        self.ends = 0
        self.status: int | None = None
        self._stopping = threading.Event()
        self._stage = stage
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with self._stage.log.open("ab") as log:
            while not self._stopping.is_set():
                self._process = subprocess.Popen(
                    [sys.executable, "manage.py", "housekeeping", "--every", "1"],
                    cwd=ROOT,
                    env=self._stage.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
                self._process.wait()
                if not self._stopping.is_set():
                    self.ends += 1
                    time.sleep(0.5)

    def stop(self) -> None:
        """Asks it to stop; ``status`` is how it then exited, None if it did not."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        assert self._process is not None
        self._process.terminate()
        try:
            self.status = self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join()


@contextmanager
def set_up(seconds: float) -> Iterator[Stage]:
    """A cluster on a disk of its own, where the system allows to make one, for such a run."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fb-faults-")))
        disk = directory / "disk"
        disk.mkdir()
        small = _mount(disk, DISK_BYTES + int(seconds) * DISK_BYTES_A_SECOND)
        if small:
            stack.callback(_unmount, disk)
        stack.callback(embedded.stop, disk / "pg")
        yield Stage(directory, small_disk=small)


@contextmanager
def serving(stage: Stage) -> Iterator[None]:
    """Granian with two workers, each made anew when it dies."""
    port = free_port()
    command = granian(port, app="tests.faults.skewed")
    respawn = ["--respawn-failed-workers", "--respawn-interval", "0.2"]
    with stage.log.open("ab") as log:
        process = subprocess.Popen(
            [*command[:-1], *respawn, command[-1]],
            cwd=ROOT,
            env=stage.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    stage.server = Server(process, port)
    try:
        _await_answer(stage.server, "/healthz")
        yield
    finally:
        stage.server.kill()


def _mount(disk: Path, size: int) -> bool:
    """Mounts a small file system in memory; False where that is not allowed."""
    if os.geteuid() != 0:
        return False
    options = ["-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", os.fspath(disk)]
    try:
        return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(disk: Path) -> None:
    subprocess.run(["umount", "--lazy", os.fspath(disk)], check=True)
