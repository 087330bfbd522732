"""The shapes of the contract's values as text, for every reader of them (fields, parameters).

A parser here returns the value or raises ValueError whose message is fit for the caller.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

# All of these are meant for fullmatch().
IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
RUN_ID: Final = re.compile(r"[A-Za-z0-9._:@+=-]{1,128}")
SLUG: Final = re.compile(r"[a-z0-9_.-]{1,50}")
UUID_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
MONEY: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,4})?")
SIGNED_MONEY: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,4})?")

IDENTIFIER_DETAIL: Final = "must be 1 to 128 characters of A-Z, a-z, 0-9 and ._:@/+=-"
RUN_ID_DETAIL: Final = "must be 1 to 128 characters of A-Z, a-z, 0-9 and ._:@+=-"
SLUG_DETAIL: Final = "must be 1 to 50 characters of a-z, 0-9 and _.-"
MONEY_DETAIL: Final = (
    "must be a decimal string of cents, not negative, with at most 12 digits before the point "
    "and 4 after"
)
SIGNED_MONEY_DETAIL: Final = (
    "must be a decimal string of cents, with at most 12 digits before the point and 4 after"
)
TIMESTAMP_DETAIL: Final = "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z"

_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,12}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_timestamp(text: str) -> datetime:
    """The UTC moment of an RFC 3339 time with an offset, in the years 1970 to 9999 of UTC.

    Digits beyond the microsecond are dropped.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(TIMESTAMP_DETAIL)
    day, time, fraction, offset = match.groups()
    if offset is None:
        raise ValueError("must have an offset, such as Z or +02:00")
    microseconds = (fraction or "")[:6].ljust(6, "0")
    offset = "+00:00" if offset in "Zz" else offset
    if int(offset[4:6]) > 59:
        raise ValueError("is not a valid time: the offset's minutes go up to 59")
    try:
        local = datetime.fromisoformat(f"{day}T{time}.{microseconds}{offset}")
    except ValueError as error:
        raise ValueError(f"is not a valid time: {error}") from None
    try:
        moment = local.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be in the years 1970 to 9999") from None
    if moment < _EARLIEST:
        raise ValueError("must be in the years 1970 to 9999")
    return moment


def format_timestamp(moment: datetime) -> str:
    """The RFC 3339 form in UTC with ``Z``, to the microsecond when there are any."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def parse_money(text: str, *, signed: bool = False) -> Decimal:
    """The cents of a decimal string."""
    if not (SIGNED_MONEY if signed else MONEY).fullmatch(text):
        raise ValueError(SIGNED_MONEY_DETAIL if signed else MONEY_DETAIL)
    return Decimal(text)


def format_money(cents: Decimal) -> str:
    """The plain decimal string of cents, always with four places."""
    return f"{cents:.4f}"
