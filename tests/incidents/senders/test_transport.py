"""What a webhook may reach, and for how long."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from incidents.services.webhooks import transport
from tests.incidents.senders.receivers import Receiver

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1")]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_is_allowed_refuses_what_is_not_public(address: str) -> None:
    assert not transport.is_allowed(ip_address(address), allowed=[])


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_is_allowed_lets_what_is_public(address: str) -> None:
    assert transport.is_allowed(ip_address(address), allowed=[])


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("11.0.0.1", "12.0.0.0/8", True),
        ("192.168.0.1", "10.0.0.0/8", False),
        ("::1", "127.0.0.0/8", False),
        ("::1", "::1/128", True),
        ("2002:a00:1::1", "::/0", False),
    ],
)
def test_is_allowed_goes_by_the_networks_that_are_named(
    address: str, network: str, expected: bool
) -> None:
    assert transport.is_allowed(ip_address(address), allowed=[ip_network(network)]) is expected


def post(url: str, **given: Any) -> transport.Answer:
    given.setdefault("allowed", LOOPBACK)
    return transport.post(url, body=b"{}", headers={"x-a": "b"}, **given)


def test_post_sends_and_answers(receiver: Receiver) -> None:
    assert post(receiver.url) == transport.Answer(200, "thanks")
    (received,) = receiver.received
    assert (received.body, received.headers["x-a"]) == (b"{}", "b")
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1"])
def test_post_reaches_no_loopback_however_it_is_written(receiver: Receiver, host: str) -> None:
    with pytest.raises(transport.NotSent, match="not public"):
        post(f"http://{host}:{receiver.port}/", allowed=[])
    assert receiver.received == []


def test_post_connects_to_the_address_that_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = socket.getaddrinfo
    asked: list[str] = []

    def resolve(host: str, *args: Any, **given: Any) -> Any:
        # A name that is public the first time it is asked for, and loopback ever after.
        asked.append(host)
        return plain("93.184.216.34" if len(asked) == 1 else "127.0.0.1", *args, **given)

    connected: list[Any] = []

    def connect(self: socket.socket, place: Any) -> None:
        connected.append(place)
        raise ConnectionRefusedError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(transport.NotSent, match="no network here"):
        post(f"http://rebinding.example:{receiver.port}/", allowed=[])
    assert asked == ["rebinding.example"]
    assert connected == [("93.184.216.34", receiver.port)]


def test_post_tries_only_the_public_addresses_of_a_name(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: str, port: int, **given: Any) -> Any:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("10.0.0.1", port)), (*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert post(f"http://both.example:{receiver.port}/").status_code == 200


def test_post_follows_no_redirect(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{receiver.port}/x"}
    assert post(receiver.url).status_code == 307
    assert len(receiver.received) == 1


def test_post_goes_through_no_proxy(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    assert post(receiver.url).status_code == 200


@pytest.mark.parametrize("slow", [{"delay": 3.0}, {"dripping": True}])
def test_post_ends_in_time_however_slowly_it_is_answered(
    receiver: Receiver, slow: dict[str, Any]
) -> None:
    for name, value in slow.items():
        setattr(receiver, name, value)
    began = time.monotonic()
    with pytest.raises(transport.NotSent, match=r"within 0\.5 seconds"):
        post(receiver.url, timeout=0.5)
    assert time.monotonic() - began < 2


def test_post_ends_in_time_however_slowly_the_name_is_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = threading.Event()

    def resolve(*args: Any, **given: Any) -> list[Any]:
        asked.wait(5)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    began = time.monotonic()
    with pytest.raises(transport.NotSent, match=r"within 0\.2 seconds"):
        post("http://slow.example/", timeout=0.2)
    assert time.monotonic() - began < 2
    asked.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_post_of_an_answer_that_is_none_is_not_sent(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(transport.NotSent):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=5)
        thread.join(5)


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server with a certificate for localhost that the client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with Receiver() as receiver:
        receiver._server.socket = context.wrap_socket(receiver._server.socket, server_side=True)
        yield receiver.port


def test_post_speaks_tls_and_checks_the_name(certified: int) -> None:
    assert post(f"https://localhost:{certified}/").status_code == 200
    with pytest.raises(transport.NotSent, match="CERTIFICATE"):
        post(f"https://127.0.0.1:{certified}/")
