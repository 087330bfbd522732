from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import rfc8785

from exports.errors import NotCanonical
from exports.services import sealing
from exports.services.keys import KeyPair
from tests.factories import bundles


def test_seal_covers_the_canonical_form(key: KeyPair) -> None:
    bundle = bundles.evidence()
    sealed = sealing.seal(bundle, key=key)
    assert sealed.document == rfc8785.dumps(bundle)
    assert sealed.seal.sha256 == hashlib.sha256(sealed.document).hexdigest()
    key.private.public_key().verify(sealed.seal.signature, sealed.document)
    assert sealed.seal.key_id == key.key_id


def test_seal_is_the_same_every_time(key: KeyPair) -> None:
    shuffled = dict(reversed(bundles.evidence().items()))
    assert sealing.seal(bundles.evidence(), key=key) == sealing.seal(shuffled, key=key)


def test_seal_refuses_a_float(key: KeyPair) -> None:
    with pytest.raises(NotCanonical, match="/totals"):
        sealing.seal(bundles.evidence() | {"totals": 1.5}, key=key)


def test_json_document_is_bundle_and_seal(key: KeyPair) -> None:
    sealed = sealing.seal(bundles.evidence(), key=key)
    document = sealing.json_document(sealed)
    parsed = json.loads(document)
    assert parsed["bundle"] == bundles.evidence()
    assert parsed["seal"] == {
        "sha256": sealed.seal.sha256,
        "signature": base64.b64encode(sealed.seal.signature).decode(),
        "key_id": key.key_id,
        "algorithm": "Ed25519",
    }
    assert document == rfc8785.dumps(parsed)


def test_seal_is_one_that_openssl_accepts(key: KeyPair, tmp_path: Path) -> None:
    sealed = sealing.seal(bundles.evidence(), key=key)
    (tmp_path / "bundle.json").write_bytes(sealed.document)
    (tmp_path / "bundle.sig").write_bytes(sealed.seal.signature)
    (tmp_path / "public.pem").write_text(key.public_pem)
    command = "openssl pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile bundle.sig -in"
    good = subprocess.run([*command.split(), "bundle.json"], cwd=tmp_path, capture_output=True)
    assert good.returncode == 0
    (tmp_path / "other.json").write_bytes(sealed.document + b" ")
    bad = subprocess.run([*command.split(), "other.json"], cwd=tmp_path, capture_output=True)
    assert bad.returncode != 0
