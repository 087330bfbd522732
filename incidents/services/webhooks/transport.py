"""Sending to an address that a tenant chose, without letting it reach what it must not.

The name is resolved here, each address that it has is checked, and the connection goes to the
very address that was checked: a name that resolves to something else a moment later changes
nothing. Redirects are not followed, proxies of the environment are not used, and everything
together has one deadline, however slowly the other side talks.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from incidents.senders.fitting import storable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL: Final = 2_000
MAX_RESPONSE: Final = 2_000
MAX_ERROR: Final = 500
DEFAULT_TIMEOUT: Final = 10.0

_PORTS: Final = {"http": 80, "https": 443}
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status code, and the beginning of the body as text."""

    status_code: int
    body: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300


class NotSent(Exception):
    """Nothing came back; the message says why, in at most 500 characters."""

    def __init__(self, reason: str) -> None:
        super().__init__(storable(reason)[:MAX_ERROR])


def url_error(url: str) -> str | None:
    """What is wrong with an address to send to, as far as it can be said without resolving it."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be a URL of at most {MAX_URL:,} printable ASCII characters, without spaces"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "must be a URL"
    if parts.scheme not in _PORTS:
        return "must begin with https:// or http://"
    if not parts.hostname or port == 0:
        return "must name a host, and no port 0"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password"
    if parts.fragment:
        return "must not have a fragment"
    return None


def is_allowed(address: Address, *, allowed: Sequence[Network]) -> bool:
    """Whether an address may be sent to: a public one, or one of a network that is allowed.

    An IPv6 address that carries an IPv4 one has to pass as both.
    """
    if isinstance(address, IPv6Address):
        # These are other ways to write an IPv4 address, those below ways to it through another.
        same = address.ipv4_mapped
        if same is None and address in _TRANSLATED:
            same = IPv4Address(int(address) & 0xFFFF_FFFF)
        if same is not None:
            return is_allowed(same, allowed=allowed)
        through = address.teredo[1] if address.teredo else address.sixtofour
        if through is not None and not is_allowed(through, allowed=allowed):
            return False
    if any(address.version == network.version and address in network for network in allowed):
        return True
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    allowed: Sequence[Network] = (),
    timeout: float = DEFAULT_TIMEOUT,
) -> Answer:
    """POSTs ``body`` as JSON; NotSent when no answer comes within ``timeout`` seconds.

    ``allowed`` are networks that may be sent to although they are not public.
    """
    if wrong := url_error(url):
        raise NotSent(f"The address {wrong}.")
    parts = urlsplit(url)
    deadline = time.monotonic() + timeout
    try:
        with _connect(parts, allowed, deadline) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(_request(parts, body, headers))
            response = http.client.HTTPResponse(_Timed(connection, deadline), method="POST")  # type: ignore[arg-type]
            response.begin()
            return Answer(response.status, _text(response.read(4 * MAX_RESPONSE)))
    except TimeoutError:
        raise NotSent(f"No answer within {timeout:g} seconds.") from None
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from error


def _connect(parts: SplitResult, allowed: Sequence[Network], deadline: float) -> socket.socket:
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    found = _resolve(host, port, deadline)
    failures: list[OSError] = []
    for family, kind, protocol, _, place in dict.fromkeys(found):
        if not is_allowed(ip_address(str(place[0]).partition("%")[0]), allowed=allowed):
            continue
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(_left(deadline))
            plain.connect(place)
            if parts.scheme == "http":
                return plain
            return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except OSError as error:
            plain.close()
            failures.append(error)
    if failures:
        raise failures[-1]
    raise NotSent("The address is not public, and its network is not among those allowed.")


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    """What a name resolves to, in a thread: the resolver itself takes the time it wants."""
    found: list[Any] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if failed:
        raise failed[0]
    if thread.is_alive():
        raise TimeoutError
    return found


def _request(parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> bytes:
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    lines = {
        "Host": parts.netloc,
        "User-Agent": "Firebreak",
        "Accept": "*/*",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Timed:
    """What an HTTPResponse needs of a socket: a file to read from, whose reads end in time."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._reading = _TimedReading(connection, deadline)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reading)


class _TimedReading(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


def _text(data: bytes) -> str:
    return storable(data.decode(errors="replace"))[:MAX_RESPONSE]
