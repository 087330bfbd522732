"""Signing keys that are the same in every run."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exports.services import keys
from exports.services.keys import KeyPair


def key_pair(seed: int) -> KeyPair:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = private.public_key()
    return KeyPair(keys.key_id(public), keys.public_pem(public), private)
