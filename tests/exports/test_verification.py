from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.services import bagit, canonical, sealing, verification, zipfiles
from exports.services.bagit import Payload
from exports.services.keys import KeyPair
from exports.services.sealing import Seal, SealedBundle
from tests.factories import bundles
from tests.factories.keys import key_pair

PDF = b"%PDF-1.7\n(no real one)\n%%EOF\n"
KEY, OTHER_KEY = key_pair(7), key_pair(8)
TRUSTED = {KEY.key_id: KEY.public_pem}


def json_of(bundle: dict[str, Any], key: KeyPair = KEY) -> bytes:
    return sealing.json_document(sealing.seal(bundle, key=key))


def zip_of(
    bundle: dict[str, Any],
    key: KeyPair = KEY,
    *,
    manifest_key: KeyPair | None = None,
    pdf: bytes = PDF,
) -> bytes:
    sealed = sealing.seal(bundle, key=key)
    payload = Payload(sealed.document, pdf, sealed.seal.signature, key.public_pem.encode())
    signature = bagit.sign_manifest(payload, key=manifest_key or key)
    return bagit.build(payload, manifest_signature=signature)


@functools.cache
def whole(kind: str) -> bytes:
    make = {"json": json_of, "zip": zip_of}[kind]
    return make(bundles.bare())


def verify(data: bytes) -> verification.Verification:
    return verification.verify(data, public_keys=TRUSTED)


def refusal(data: bytes) -> str:
    """What the first check that does not hold says."""
    found = verify(data)
    assert not found.ok
    assert found.failure is found.checks[-1]
    assert all(check.ok for check in found.checks[:-1])
    return f"{found.failure.name}: {found.failure.detail}"


@pytest.mark.parametrize("kind", ["json", "zip"])
def test_verify_accepts_what_was_exported(kind: str) -> None:
    make = {"json": json_of, "zip": zip_of}[kind]
    found = verify(make(bundles.evidence(content=True)))
    assert found.ok, found.failure
    assert found.kind == kind
    assert found.subject == verification.Subject(
        bundle_id=bundles.identifier(1),
        bundle_type="evidence",
        tenant_id="northwind",
        incident_id=bundles.identifier(2),
        generated_at="2026-11-17T19:15:04.250Z",
        key_id=KEY.key_id,
        sha256=sealing.seal(bundles.evidence(content=True), key=KEY).seal.sha256,
    )


@pytest.mark.parametrize("kind", ["json", "zip"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_verify_refuses_any_changed_byte(kind: str, data: st.DataObject) -> None:
    good = whole(kind)
    offset = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(good)
    changed[offset] ^= flip
    said = refusal(bytes(changed))
    if kind == "zip":
        name = zipfiles.member_at(good, offset, names=bagit.MEMBERS)
        assert (name or "central directory") in said or (offset < 4 and "byte 0" in said)
    else:
        assert re.search(r"[Bb]yte \d|line \d|/bundle|/seal|bundle and seal|trusted keys", said)


@pytest.mark.parametrize("kind", ["json", "zip"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_verify_refuses_a_file_cut_off_or_continued(kind: str, data: st.DataObject) -> None:
    good = whole(kind)
    cut = data.draw(st.integers(0, len(good) - 1))
    assert refusal(good[:cut])
    assert refusal(good + data.draw(st.binary(min_size=1, max_size=50)))
    assert refusal(data.draw(st.binary(min_size=1, max_size=50)) + good)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda tail: b"PK\x03\x04" + tail)
    | st.binary(max_size=300).map(lambda tail: b"{" + tail)
)
def test_verify_refuses_what_is_no_bundle_at_all(data: bytes) -> None:
    assert refusal(data)


def test_verify_refuses_any_changed_bit_of_the_seal() -> None:
    good = whole("json")
    for offset in range(good.rindex(b'"seal"'), len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[offset] ^= 1 << bit
            assert not verify(bytes(changed)).ok


def resealed(change: dict[str, str]) -> bytes:
    """The JSON bundle with members of its seal replaced, canonical all the same."""
    parsed = json.loads(whole("json"))
    parsed["seal"] |= change
    return canonical.encode(parsed)


def test_verify_names_what_was_changed_in_a_json_document() -> None:
    good = json.loads(whole("json"))
    hash_, signature = good["seal"]["sha256"], good["seal"]["signature"]
    raw = base64.b64decode(signature)
    wrong = base64.b64encode(raw[:-1] + b"\0").decode()
    # The last character before the padding has unused bits.
    loose = signature[:-3] + chr(ord(signature[-3]) + 1) + "=="
    assert base64.b64decode(loose) == raw
    assert "/seal/sha256 was changed" in refusal(resealed({"sha256": hash_[::-1]}))
    assert "/seal/sha256 was changed" in refusal(resealed({"sha256": hash_.upper()}))
    assert "/seal/signature" in refusal(resealed({"signature": wrong}))
    assert "/seal/signature is not the base64" in refusal(resealed({"signature": loose}))
    assert "/seal/algorithm" in refusal(resealed({"algorithm": "none"}))
    assert "key 'ffff' ," in refusal(resealed({"key_id": "ffff"})).replace(",", " ,")
    assert "exactly" in refusal(resealed({"more": "x"}))
    good["bundle"]["incident"]["severity"] = "high"
    assert "/bundle or its seal was changed" in refusal(canonical.encode(good))


def test_verify_refuses_a_json_document_written_otherwise() -> None:
    good = whole("json")
    spaced = json.dumps(json.loads(good)).encode()
    assert "canonical form: Byte 10 " in refusal(spaced)
    doubled = good.replace(b'{"bundle":{', b'{"bundle":{"id":"x",')
    assert "canonical form" in refusal(doubled)
    assert "floating-point" in refusal(good.replace(b'"alerts":0', b'"alerts":0.0'))
    assert "canonical form" in refusal(good.replace(b'"alerts":0', b'"alerts":-0'))
    assert "floating-point" in refusal(good.replace(b'"alerts":0', b'"alerts":NaN'))
    assert "2^53-1" in refusal(good.replace(b'"alerts":0', b'"alerts":' + b"9" * 4000))
    assert "not JSON" in refusal(good.replace(b'"alerts":0', b'"alerts":' + b"9" * 5000))
    assert "surrogate" in refusal(good.replace(b'"alerts":0', b'"alerts":"\\ud800"'))
    assert "not UTF-8 at byte" in refusal(good.replace(b'"alerts":0', b'"alerts":"\xff"'))
    deep = b"[" * 100_000 + b"]" * 100_000
    assert "nested" in refusal(good.replace(b'"alerts":0', b'"alerts":' + deep))


@pytest.mark.parametrize("make", [json_of, zip_of])
def test_verify_never_trusts_the_key_inside(make: Any) -> None:
    forged = make(bundles.bare(), OTHER_KEY)
    assert f"key {OTHER_KEY.key_id!r}, which is not among the trusted" in refusal(forged)
    assert verification.verify(forged, public_keys={OTHER_KEY.key_id: OTHER_KEY.public_pem}).ok


def test_verify_refuses_a_bundle_signed_by_another_key_under_a_trusted_name() -> None:
    sealed = sealing.seal(bundles.bare(), key=OTHER_KEY)
    seal = Seal(sealed.seal.sha256, sealed.seal.signature, KEY.key_id)
    forged = sealing.json_document(SealedBundle(sealed.document, seal))
    assert refusal(forged).startswith("signature:")


def members_of(data: bytes) -> dict[str, bytes]:
    return zipfiles.unpack(data, names=bagit.MEMBERS)


def repacked(changes: dict[str, bytes], *, manifests: bool = False) -> bytes:
    """The ZIP with members replaced, and its manifests made to fit if asked for."""
    content = members_of(whole("zip")) | changes
    if manifests:
        for manifest, listed in (
            (bagit.MANIFEST, bagit.PAYLOAD),
            (bagit.TAG_MANIFEST, bagit.TAGS),
        ):
            content[manifest] = "".join(
                f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(listed)
            ).encode()
    return bagit.pack(content, at=bagit.created(bundles.bare()))


@pytest.mark.parametrize("name", bagit.MEMBERS)
def test_verify_names_the_member_that_was_changed(name: str) -> None:
    content = bytearray(members_of(whole("zip"))[name])
    content[len(content) // 2] ^= 1
    said = refusal(repacked({name: bytes(content)}))
    # A changed manifest is named by the line that does not fit what it lists.
    assert name in said


@pytest.mark.parametrize("name", [*bagit.PAYLOAD, bagit.DECLARATION, bagit.INFO])
def test_verify_refuses_a_changed_member_whose_manifests_were_made_to_fit(name: str) -> None:
    content = bytearray(members_of(whole("zip"))[name])
    content[len(content) // 2] ^= 1
    assert refusal(repacked({name: bytes(content)}, manifests=True))


def test_verify_refuses_another_pdf() -> None:
    # A reader may open nothing but the PDF: the payload manifest is signed as well.
    forged = repacked({bagit.PDF: PDF.replace(b"no", b"NO")}, manifests=True)
    assert "manifest signature" in refusal(forged)
    assert "manifest signature" in refusal(zip_of(bundles.bare(), manifest_key=OTHER_KEY))


def test_verify_refuses_a_description_that_is_not_the_bundles() -> None:
    info = members_of(whole("zip"))[bagit.INFO].replace(b"northwind", b"southwind")
    assert "bag-info.txt line 5" in refusal(repacked({bagit.INFO: info}, manifests=True))
    unsigned = re.sub(rb"Firebreak-Manifest-Signature: .*\n", b"", info)
    assert "has no Firebreak-Manifest" in refusal(repacked({bagit.INFO: unsigned}, manifests=True))


def test_verify_refuses_a_key_written_otherwise() -> None:
    pem = KEY.public_pem.encode()
    for other in (pem + b"\n", pem.replace(b"\n", b"\r\n"), b"x"):
        assert "data/public.pem" in refusal(repacked({bagit.PUBLIC_KEY: other}, manifests=True))


def test_verify_refuses_a_member_that_inflates() -> None:
    good = whole("zip")
    bomb = zlib.compress(bytes(10_000_000))[2:-4]
    header = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 33, 0, len(bomb), 10**7, 9, 0)
    assert "not plainly stored" in refusal(header + b"bagit.txt" + bomb + good)


def test_verify_refuses_members_that_do_not_belong() -> None:
    good = whole("zip")
    first = good[: good.index(b"PK\x03\x04", 4)]
    assert "bag-info.txt should begin" in refusal(first + good)
    assert "bagit.txt should begin" in refusal(good[len(first) :])
    extra = first.replace(b"bagit.txt", b"extra.txt")
    assert "bagit.txt should begin at byte 0, not 'extra.txt'" in refusal(extra + good)


def test_verify_refuses_a_file_beyond_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MAX_FILE_BYTES", len(whole("json")) - 1)
    assert "larger than" in refusal(whole("json"))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"id": 5},
        bundles.without(bundles.bare(), generated_at="yesterday"),
        bundles.without(bundles.bare(), generated_at="0001-01-01T00:00:00+23:59"),
        bundles.without(bundles.bare(), generated_at=7),
        bundles.without(bundles.bare(), tenant=[]),
        bundles.without(bundles.bare(), id=1),
    ],
)
def test_verify_refuses_what_a_trusted_key_signed_that_is_no_bundle(content: Any) -> None:
    assert "What was signed is not a bundle" in refusal(json_of(content))
