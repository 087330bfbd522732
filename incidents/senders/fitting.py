"""Making foreign text fit the contract's values.

A monitor cannot be asked to rename its things: what an identifier cannot hold becomes ``-``, what
is too long is cut, and U+0000, which the database cannot hold, becomes U+FFFD.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from config.errors import FieldError
from incidents.enums import Severity
from incidents.services.reports import MAX_AHEAD, MAX_METADATA_BYTES

MAX_CALL_ID: Final = 400
MAX_GROUP: Final = 200
MAX_TEXT: Final = 2_000

_NOT_IDENTIFIER: Final = re.compile(r"[^A-Za-z0-9._:@/+=-]+")
_NOT_RUN_ID: Final = re.compile(r"[^A-Za-z0-9._:@+=-]+")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9_.-]+")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_CENT: Final = Decimal("0.0001")
_MAX_CENTS: Final = Decimal(10) ** 12

# The words that monitors use for how bad something is.
_SEVERITIES: Final = {
    "fatal": Severity.CRITICAL,
    "critical": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "major": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "warn": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "minor": Severity.MEDIUM,
    "info": Severity.LOW,
    "information": Severity.LOW,
    "notice": Severity.LOW,
    "low": Severity.LOW,
    "none": Severity.LOW,
    "debug": Severity.LOW,
}


def storable(text: str) -> str:
    """The text without what the database cannot hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def text(value: Any, limit: int = MAX_TEXT) -> str | None:
    """A string of at most ``limit`` characters; None when there is nothing in it."""
    if not isinstance(value, str):
        return None
    if not value.isascii() or "\0" in value:
        value = storable(value)
    return value[:limit].strip() or None


def identifier(value: Any) -> str | None:
    """An identifier made of a name; None when nothing of it is left."""
    if not isinstance(value, str):
        return None
    return _NOT_IDENTIFIER.sub("-", value.strip())[:128].strip("-") or None


def run_id(value: Any) -> str | None:
    """As :func:`identifier`, for a run."""
    if not isinstance(value, str):
        return None
    return _NOT_RUN_ID.sub("-", value.strip())[:128].strip("-") or None


def slug(value: Any) -> str | None:
    """A category or a kind of step made of a name."""
    if not isinstance(value, str):
        return None
    return _NOT_SLUG.sub("_", value.strip().lower())[:50].strip("_") or None


def distinct(value: str, limit: int) -> str:
    """The value itself, or when it is too long its beginning with a digest of the whole.

    Unlike a cut, it keeps apart what differs only at the end.
    """
    value = storable(value)
    if len(value) <= limit:
        return value
    digest = hashlib.sha256(value.encode()).hexdigest()[:32]
    return f"{value[: limit - len(digest) - 1]}~{digest}"


def severity(word: Any) -> Severity | None:
    """The severity that a monitor's word means; None when it means none that is known."""
    return _SEVERITIES.get(word.strip().lower()) if isinstance(word, str) else None


def cents(dollars: Any) -> str | None:
    """Cents, as the contract writes money, of an amount in US dollars; None when it is none."""
    if isinstance(dollars, bool) or not isinstance(dollars, (int, float, str, Decimal)):
        return None
    try:
        amount = Decimal(str(dollars)) * 100
        if not amount.is_finite() or not 0 <= amount < _MAX_CENTS:
            return None
        amount = amount.quantize(_CENT, ROUND_HALF_EVEN)
    except InvalidOperation:
        return None
    return f"{amount:f}" if amount < _MAX_CENTS else None


def metadata(members: Mapping[str, Any]) -> bytes:
    """The members that fit together into a report's metadata, in their order; b"" for none.

    The first that is too large for what room is left is left out, and so is all after it.
    """
    kept: dict[str, Any] = {}
    room = MAX_METADATA_BYTES - 2
    for name, value in members.items():
        if value is None or value == {} or value == []:
            continue
        room -= len(msgspec.json.encode({name: value})) - 1
        if room < 0:
            break
        kept[name] = value
    return msgspec.json.encode(kept) if kept else b""


def ahead(moment: datetime, *, at: datetime, pointer: str) -> FieldError | None:
    """What is wrong with a time that lies further ahead than clocks may differ."""
    if moment > at + MAX_AHEAD:
        return FieldError(pointer, "must not be more than 5 minutes ahead")
    return None
