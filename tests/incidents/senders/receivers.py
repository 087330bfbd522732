"""A receiver of webhooks: a real HTTP server on the loopback that keeps what it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers ``status`` and ``answer`` after ``delay`` seconds, to each request alike.

    With ``dripping`` it never ends its answer, of which a byte comes now and then.
    """

    status: int = 200
    answer: bytes = b"thanks"
    delay: float = 0.0
    dripping: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    at_once: int = 0

    def __enter__(self) -> Self:
        receiver = self
        lock = threading.Lock()
        running = 0

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                nonlocal running
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    running += 1
                    receiver.at_once = max(receiver.at_once, running)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    receiver.received.append(Received(self.path, headers, body))
                time.sleep(receiver.delay)
                with lock:
                    running -= 1
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                if receiver.dripping:
                    self.end_headers()
                    for _ in range(100):
                        self.wfile.write(b".")
                        self.wfile.flush()
                        time.sleep(0.05)
                    return
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"


def eventually(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What the condition says once it says something true."""
    ends = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.05)
    return result
