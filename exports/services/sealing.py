"""Sealing: one canonical form, one hash, one detached Ed25519 signature.

Hash and signature are both made over the RFC 8785 bytes of the bundle, so that sha256sum and
openssl check them on a file that holds just those bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exports.services import canonical
from exports.services.keys import ALGORITHM, KeyPair


@dataclass(frozen=True, slots=True)
class Seal:
    """What stands beside a bundle: lower-case hexadecimal hash, 64 raw bytes, the key's name."""

    sha256: str
    signature: bytes
    key_id: str

    def as_json(self) -> dict[str, str]:
        """The ``seal`` member of a JSON bundle."""
        return {
            "sha256": self.sha256,
            "signature": base64.b64encode(self.signature).decode(),
            "key_id": self.key_id,
            "algorithm": ALGORITHM,
        }


@dataclass(frozen=True, slots=True)
class SealedBundle:
    """A bundle in its canonical bytes, with its seal."""

    document: bytes
    seal: Seal


def seal(bundle: Mapping[str, Any], *, key: KeyPair) -> SealedBundle:
    """Fix ``bundle`` in its canonical form and sign it.

    Raises NotCanonical when a value has no such form, BundleTooLarge when it is over the limit.
    """
    document = canonical.encode(bundle)
    return SealedBundle(
        document, Seal(hashlib.sha256(document).hexdigest(), key.sign(document), key.key_id)
    )


def json_document(sealed: SealedBundle) -> bytes:
    """The file that is downloaded as JSON: ``{bundle, seal}``, canonical as a whole."""
    return b'{"bundle":%b,"seal":%b}' % (sealed.document, canonical.encode(sealed.seal.as_json()))
