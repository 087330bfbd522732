"""Firebreak behind a real WSGI server, in a process group of its own that can be killed."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
START_SECONDS = 60.0


class Server:
    """A running server. ``kill`` ends it and its workers as a power cut would: by SIGKILL."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self._killed = False

    def kill(self) -> None:
        if self._killed:
            return
        self._killed = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def granian(
    port: int, *, workers: int = 2, threads: int = 4, app: str = "config.wsgi"
) -> list[str]:
    """The command of granian with blocking threads."""
    options = ["--workers", str(workers), "--blocking-threads", str(threads), "--no-ws"]
    where = ["--host", HOST, "--port", str(port), "--log-level", "warning"]
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        *options,
        *where,
        f"{app}:application",
    ]


def gunicorn(
    port: int, *, workers: int = 2, threads: int = 4, app: str = "config.wsgi"
) -> list[str]:
    """The command of gunicorn: its sync worker, or with several threads its threaded one."""
    options = ["--workers", str(workers), "--threads", str(threads), "--keep-alive", "60"]
    if threads > 1:
        options += ["--worker-class", "gthread"]
    where = ["--bind", f"{HOST}:{port}", "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", *options, *where, f"{app}:application"]


def database_url(settings: Mapping[str, Any]) -> str:
    """The DATABASE_URL of an entry of DATABASES, also when it is reached by a unix socket."""
    user, password, host = (
        quote(str(settings[name] or ""), safe="") for name in ("USER", "PASSWORD", "HOST")
    )
    port = f":{settings['PORT']}" if settings["PORT"] else ""
    return f"postgres://{user}:{password}@{host}{port}/{quote(str(settings['NAME']), safe='')}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], port: int, *, environment: Mapping[str, str], path: str = "/healthz"
) -> Iterator[Server]:
    """Runs a server until the block ends; it has answered once when the block begins."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(process, port)
    try:
        _await_answer(server, path)
        yield server
    finally:
        server.kill()


def _await_answer(server: Server, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            assert server.process.poll() is None, "the server ended by itself"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)
        finally:
            connection.close()


def without_database() -> dict[str, str]:
    """The environment of a process of ours that has no need of a database."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        # Without any, the settings would start the embedded one.
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    }
