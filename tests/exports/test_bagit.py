from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import bagit as independent
import pytest

from exports.services import bagit, sealing
from exports.services.bagit import Payload
from exports.services.keys import KeyPair
from tests.factories import bundles

PDF = b"%PDF-1.7\n(no real one)\n%%EOF\n"


def payload(key: KeyPair) -> Payload:
    sealed = sealing.seal(bundles.evidence(), key=key)
    return Payload(sealed.document, PDF, sealed.seal.signature, key.public_pem.encode())


def bag(key: KeyPair) -> bytes:
    content = payload(key)
    return bagit.build(content, manifest_signature=bagit.sign_manifest(content, key=key))


# Old bundles are packed anew at each download, so the two expectations below may never change.
PACKED = "d762cf44dc8c8e08667827a32055fdba09ccb607785a73d6b63d70e90ce36cc3"
INFO = """\
Bagging-Date: 2026-11-17
External-Description: Firebreak evidence bundle
External-Identifier: 019ab000-0000-7000-8000-000000000001
Firebreak-Manifest-Signature: {signature}
Firebreak-Tenant: northwind
Internal-Sender-Identifier: 019ab000-0000-7000-8000-000000000002
Payload-Oxum: {octets}.4
"""


def test_build_is_the_same_bytes_for_ever(key: KeyPair) -> None:
    packed = bagit.pack(
        {name: f"content of {name}".encode() for name in bagit.MEMBERS},
        at=bundles.STARTED,
    )
    assert hashlib.sha256(packed).hexdigest() == PACKED
    assert bag(key) == bag(key)


def test_tags_are_the_same_bytes_for_ever(key: KeyPair) -> None:
    content = payload(key)
    signature = bagit.sign_manifest(content, key=key)
    tags = bagit.tags(content, bundle=bundles.evidence(), manifest_signature=signature)
    octets = sum(len(part) for part in content.members().values())
    info = INFO.format(signature=base64.b64encode(signature).decode(), octets=octets)
    assert tags["bag-info.txt"].decode() == info
    assert tags["bagit.txt"] == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    key.private.public_key().verify(signature, tags["manifest-sha256.txt"])


def test_build_holds_the_members_of_the_contract(key: KeyPair) -> None:
    archive = zipfile.ZipFile(io.BytesIO(bag(key)))
    assert archive.testzip() is None
    assert archive.namelist() == [
        "bagit.txt",
        "bag-info.txt",
        "data/bundle.json",
        "data/bundle.pdf",
        "data/bundle.sig",
        "data/public.pem",
        "manifest-sha256.txt",
        "tagmanifest-sha256.txt",
    ]
    assert archive.read("data/bundle.pdf") == PDF
    assert len(archive.read("data/bundle.sig")) == 64
    assert {entry.date_time for entry in archive.infolist()} == {(2026, 11, 17, 19, 15, 4)}


@pytest.fixture
def unpacked(key: KeyPair, tmp_path: Path) -> Path:
    (tmp_path / "bundle.zip").write_bytes(bag(key))
    subprocess.run(["unzip", "-q", "bundle.zip", "-d", "bag"], cwd=tmp_path, check=True)
    return tmp_path / "bag"


def test_build_is_a_bag_for_the_bagit_package(unpacked: Path) -> None:
    found = independent.Bag(str(unpacked))
    found.validate()
    assert found.info["External-Identifier"] == bundles.identifier(1)
    (unpacked / "data/bundle.pdf").write_bytes(PDF.replace(b"no", b"NO"))
    with pytest.raises(independent.BagValidationError):
        found.validate()


@pytest.mark.parametrize("manifest", ["manifest-sha256.txt", "tagmanifest-sha256.txt"])
def test_manifests_are_accepted_by_sha256sum(unpacked: Path, manifest: str) -> None:
    command = ["sha256sum", "--check", "--strict", manifest]
    found = subprocess.run(command, cwd=unpacked, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count(": OK") == {"m": 4, "t": 3}[manifest[0]]


@pytest.mark.parametrize("year", ["0001", "1970", "9999"])
def test_build_keeps_a_time_that_a_zip_cannot_hold(key: KeyPair, year: str) -> None:
    at = f"{year}-12-31T23:59:59.000Z"
    sealed = sealing.seal(bundles.evidence() | {"generated_at": at}, key=key)
    content = Payload(sealed.document, PDF, sealed.seal.signature, key.public_pem.encode())
    packed = bagit.build(content, manifest_signature=bagit.sign_manifest(content, key=key))
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert f"Bagging-Date: {year}-12-31\n".encode() in archive.read("bag-info.txt")


def test_tags_keep_every_value_on_one_line(key: KeyPair) -> None:
    bundle = bundles.evidence()
    bundle["tenant"]["id"] = "a\nPayload-Oxum: 1.1\r\u2028b"
    tags = bagit.tags(payload(key), bundle=bundle, manifest_signature=b"x" * 64)
    assert b"Firebreak-Tenant: a Payload-Oxum: 1.1 b\n" in tags["bag-info.txt"]
