"""Replaces the recurrence signature: what two incidents share that are the same failure again.

Deterministic: nothing but the tenant, the kind (trigger type and group key), the error code and
the message with ids and numbers taken out goes into it, in that order. The version comes first,
so that a better normalisation can follow without being taken for this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec

from incidents.models import Incident
from incidents.services.reads import Narrowing

VERSION: Final = "v1"

_UUID: Final = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
)
# A word that a digit is in (req-81f3, 0x7f, 12ms, 2026-01-31T12:00:00Z) names this one case. It
# is looked for from the beginnings of words alone, and never twice.
_APART: Final = r"\s\"'`(){}\[\]<>,;="
_NUMBERED: Final = re.compile(rf"(?<![^{_APART}])[^{_APART}0-9]*+[0-9][^{_APART}]*+")


@lru_cache(maxsize=256)
def normalise(message: str) -> str:
    """The message without what differs from case to case: ids, numbers, case and spacing."""
    message = _NUMBERED.sub("#", _UUID.sub("#", message))
    return " ".join(message.split()).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a signature is made of, besides the tenant."""

    trigger_type: str
    group_key: str
    error_code: str | None
    message: str


def of(*, tenant_id: str, failure: Failure) -> str:
    """The signature: its version, a colon, and 32 hexadecimal digits."""
    parts = [
        tenant_id,
        failure.trigger_type,
        failure.group_key,
        failure.error_code,
        normalise(failure.message),
    ]
    return f"{VERSION}:{sha256(msgspec.json.encode(parts)).hexdigest()[:32]}"


def explain(failure: Failure) -> str:
    """What a signature stands for, in one sentence."""
    said = [f"trigger {failure.trigger_type}"]
    if failure.group_key:
        said.append(f"group {failure.group_key}")
    if failure.error_code:
        said.append(f"error code {failure.error_code}")
    message = normalise(failure.message)
    said.append(f'the message "{message}"' if message else "no message")
    return (
        f"The same failure again is one of this tenant with {', '.join(said[:-1])} and {said[-1]}"
        f"{', ids and numbers taken out' if message else ''}."
    )


def explain_incident(incident: Incident) -> str | None:
    """What an incident's signature stands for; None when it has none."""
    if incident.signature is None:
        return None
    return explain(
        Failure(
            trigger_type=incident.trigger_type,
            group_key=incident.group_key,
            error_code=incident.error_code,
            message=incident.error_message or incident.trigger_value or "",
        )
    )


def recurrences(*, incident: Incident) -> Narrowing:
    """Which incidents are the others of the same signature; none are when it has none."""
    # No signature is empty.
    return Narrowing(signature=incident.signature or "", other_than=incident.pk)
