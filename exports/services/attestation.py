"""What a bundle says of its own seal: who signs, and what exactly was checked; nothing more."""

from __future__ import annotations

from collections.abc import Sequence

from exports.services.documents import Attestation, AttestedCheck
from exports.services.keys import ALGORITHM, KeyPair

STATEMENT = (
    "The key named here signed the RFC 8785 form of this bundle when it was exported. The "
    "signature says that the bundle is unchanged since; it does not say that what was reported "
    "to Firebreak is true."
)


def compose(*, signer: str, key: KeyPair, checks: Sequence[AttestedCheck]) -> Attestation:
    """The attestation of a bundle that ``key`` is going to sign."""
    return {
        "signer": signer,
        "algorithm": ALGORITHM,
        "key_id": key.key_id,
        "statement": STATEMENT,
        "checks": list(checks),
    }


def hashes(name: str, what: str, *, matching: int, total: int) -> AttestedCheck:
    """The check that contents still have the hash that was kept with them."""
    return {
        "name": name,
        "passed": matching == total,
        "detail": f"{matching:,} of {total:,} {what} have the SHA-256 that was kept with them."
        if total
        else f"There were no {what} to check.",
    }
