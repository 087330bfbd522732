"""What no decent client sends, through the real server: refused, and nothing else suffers."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from dataclasses import dataclass
from typing import Final

import pytest
from django.db import connection

from incidents.models import Alert
from tests.factories.tenancy import TenantFactory, issue_key
from tests.servers import HOST, database_url, free_port, granian, running

pytestmark = pytest.mark.django_db(transaction=True)

MAX_BODY: Final = 16 * 1024 * 1024
MAX_SECONDS: Final = 20.0
REPORT: Final = b'{"trigger_type": "hostile"}'
MULTIPART: Final = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n"


@dataclass(frozen=True)
class Hostile:
    """Bytes for the wire, and the statuses that may answer them; None: a closed connection."""

    data: bytes
    allowed: tuple[int | None, ...]
    hangs_up: bool = False


def report(
    body: bytes, *extra: str, length: int | None = None, kind: str = "application/json"
) -> bytes:
    lines = ["POST /api/v1/alerts/batch/ HTTP/1.1", "Host: localhost", "Authorization: Bearer KEY"]
    lines += [f"Content-Type: {kind}"] if kind else []
    if not any(line.startswith(("Transfer-Encoding", "Content-Length")) for line in extra):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [*extra, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def get(path: bytes, *extra: str, method: str = "GET", host: str = "localhost") -> bytes:
    lines = [f"Host: {host}", "Authorization: Bearer KEY", *extra, "Connection: close", "", ""]
    return b"%s %s HTTP/1.1\r\n" % (method.encode(), path) + "\r\n".join(lines).encode("latin-1")


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end
    return report(body, "Transfer-Encoding: chunked", kind="application/x-ndjson")


GZIP: Final = "Content-Encoding: gzip"
CASES: Final = {
    "chunk of no size": Hostile(
        report(b"ZZ\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), (400, None)
    ),
    "chunks beyond the limit": Hostile(chunked(*[b" " * 65536] * 272), (413,)),
    "length beyond the limit": Hostile(report(b"{}", length=10**9), (413,)),
    "length beyond any number": Hostile(report(b"{}", length=10**30), (400, 413)),
    "negative length": Hostile(report(b"{}", length=-5), (400,)),
    "two lengths": Hostile(report(b"{}", "Content-Length: 2", "Content-Length: 27"), (400,)),
    "hangs up in mid-body": Hostile(
        report(REPORT + b"\n" + REPORT, length=1000, kind="application/x-ndjson"),
        (400, None),
        hangs_up=True,
    ),
    "gzip bomb": Hostile(report(gzip.compress(bytes(2**28)), GZIP), (413,)),
    "gzip of empty members": Hostile(report(gzip.compress(b"") * (MAX_BODY // 20), GZIP), (400,)),
    "gzip cut short": Hostile(report(gzip.compress(REPORT)[:-5], GZIP), (400,)),
    "gzip of nothing known": Hostile(report(b"abc", GZIP), (400,)),
    "gzip in gzip": Hostile(report(b"", "Content-Encoding: gzip, gzip"), (415,)),
    "deflate": Hostile(report(zlib.compress(REPORT), "Content-Encoding: deflate"), (415,)),
    "no media type": Hostile(report(REPORT, kind=""), (415,)),
    "other charset": Hostile(report(REPORT, kind="application/json; charset=utf-16"), (415,)),
    "multipart": Hostile(
        report(MULTIPART * 100_000, kind="multipart/form-data; boundary=x"), (415,)
    ),
    "multipart to the login": Hostile(
        report(MULTIPART * 20_000, kind="multipart/form-data; boundary=x").replace(
            b"/api/v1/alerts/batch/", b"/admin/login/"
        ),
        (400, 403),
    ),
    "brackets that open": Hostile(report(b"[" * (MAX_BODY - 1)), (400,)),
    "brackets that close": Hostile(report(b"[" * 2**22 + b"]" * 2**22), (400,)),
    "objects in objects": Hostile(report(b'{"a":' * 10**6 + b"1" + b"}" * 10**6), (400,)),
    "endless number": Hostile(report(b'{"alerts": [%b]}' % (b"9" * 5_000_000)), (200,)),
    "unknown fields without end": Hostile(
        report(b"{%b}" % b",".join(b'"%x":0' % number for number in range(500_000))), (400,)
    ),
    "many headers": Hostile(get(b"/healthz", *(f"X-{n}: a" for n in range(500))), (431,)),
    "long header": Hostile(get(b"/healthz", "X-A: " + "a" * 2**20), (431, None)),
    "folded header": Hostile(get(b"/healthz", "X-A: a\r\n b"), (400,)),
    "header name with a blank": Hostile(get(b"/healthz", "X A: a"), (400,)),
    "other host": Hostile(get(b"/api/v1/whoami/", host="evil.example"), (400,)),
    "two hosts": Hostile(get(b"/api/v1/whoami/", "Host: evil.example"), (400,)),
    "key that is no text": Hostile(
        get(b"/api/v1/whoami/").replace(b"Bearer KEY", b"Bearer \xff\xfe"), (401,)
    ),
    "key without end": Hostile(
        get(b"/api/v1/whoami/").replace(b"KEY", b"a" * 60_000), (400, 401, 431)
    ),
    "NUL in the address": Hostile(get(b"/api/v1/runs/a%00b/"), (404,)),
    "address that is no text": Hostile(get(b"/api/v1/runs/%ff%fe/"), (404,)),
    "raw bytes in the address": Hostile(get(b"/api/v1/runs/\xf0\x9f\x98\x80/"), (400, 404)),
    "address that climbs": Hostile(get(b"/api/v1/%2e%2e/%2e%2e/etc/passwd"), (404,)),
    "address without end": Hostile(get(b"/api/v1/" + b"a" * 200_000), (404, 414)),
    "parameter that is no text": Hostile(get(b"/api/v1/incidents/?search=%ff%00"), (400,)),
    "parameters without end": Hostile(get(b"/api/v1/incidents/?" + b"a=1&" * 5000), (400,)),
    "unknown method": Hostile(get(b"/api/v1/incidents/", method="PROPFIND"), (405,)),
    "TRACE": Hostile(get(b"/api/v1/incidents/", method="TRACE"), (405,)),
    "CONNECT": Hostile(get(b"localhost:80", method="CONNECT"), (400, 404, 405, None)),
    "HTTP of another age": Hostile(b"GET /healthz HTTP/9.9\r\n\r\n", (400, None)),
    "no HTTP at all": Hostile(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9, (400, None)),
}


def answer(port: int, data: bytes, *, hangs_up: bool = False) -> tuple[int | None, bytes]:
    """The status and the rest of what comes back; None when nothing does."""
    received = b""
    with socket.create_connection((HOST, port), timeout=MAX_SECONDS) as link:
        try:
            link.sendall(data)
            if hangs_up:
                link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused while we were sending; what was answered is still to be read
        try:
            while more := link.recv(65536):
                received += more
        except (ConnectionError, TimeoutError):
            pass  # that it took too long is told by the clock
    return (int(received[9:12]) if received.startswith(b"HTTP/1") else None), received


def test_hostile_requests_are_refused_and_nothing_else_suffers() -> None:
    tenant = TenantFactory.create()
    _, key = issue_key(tenant)
    port = free_port()
    environment = {"DATABASE_URL": database_url(connection.settings_dict), "DEBUG": "1"}
    wrong = []
    with running(granian(port), port, environment=environment):
        for name, case in CASES.items():
            data = case.data.replace(b"KEY", key.encode(), 1)
            started = time.monotonic()
            status, received = answer(port, data, hangs_up=case.hangs_up)
            seconds = time.monotonic() - started
            if status not in case.allowed or seconds > MAX_SECONDS:
                wrong.append((name, status, round(seconds, 1), received[-300:]))
            assert answer(port, get(b"/healthz"))[0] == 200, f"no other request after: {name}"
        assert not wrong
        assert Alert.objects.count() == 0
        status, _ = answer(port, chunked(REPORT[:9], REPORT[9:]).replace(b"KEY", key.encode()))
        assert status == 200
    assert Alert.objects.count() == 1
