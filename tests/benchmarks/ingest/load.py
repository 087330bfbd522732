"""A client so light that what is measured is the server: bare sockets, requests made before."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence

from tests.servers import HOST


def post_all(
    port: int, path: str, bodies: Sequence[bytes], *, connections: int, headers: str = ""
) -> tuple[float, Counter[int]]:
    """Posts the bodies over so many connections kept alive; seconds, and how often each status."""
    requests = [
        (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
            f"{headers}Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in bodies
    ]
    statuses: Counter[int] = Counter()
    links = [socket.create_connection((HOST, port)) for _ in range(connections)]
    threads = [
        threading.Thread(target=_client, args=(link, requests[place::connections], statuses))
        for place, link in enumerate(links)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for link in links:
        link.close()
    return seconds, statuses


def _client(link: socket.socket, requests: Sequence[bytes], statuses: Counter[int]) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for request in requests:
        link.sendall(request)
        statuses[_answer(link)] += 1


def _answer(link: socket.socket) -> int:
    """Reads one answer to its end; its status."""
    data = _more(link)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(link)
    head = data[:end].lower()
    place = head.find(b"content-length:")
    if place < 0:
        assert b"transfer-encoding: chunked" in head
        while not data.endswith(b"\r\n0\r\n\r\n"):
            data += _more(link)
    else:
        missing = int(head[place + 15 :].split(b"\r\n", 1)[0]) - (len(data) - end - 4)
        while missing > 0:
            missing -= len(_more(link))
    return int(data[9:12])


def _more(link: socket.socket) -> bytes:
    data = link.recv(65536)
    assert data, "the server closed a connection"
    return data
