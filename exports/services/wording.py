"""Counts, amounts and durations in words that a person reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 run``, ``1,204 runs``, ``no run``."""
    if number == 0:
        return f"no {noun}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def cents(amount: str | None) -> str:
    """``1,234.56 cents``: at least two decimals, no more than there are; words for null."""
    if amount is None:
        return "not recorded"
    value = Decimal(amount)
    shown = f"{value:,.4f}"
    while shown.endswith("0") and shown[-3] != ".":
        shown = shown[:-1]
    return f"{shown} cents"


def duration(start: str, end: str) -> str:
    """The time between two moments in its two largest units, ``1 h 24 min``, ``850 ms``."""
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return milliseconds(max(0, round(passed.total_seconds() * 1000)))


def milliseconds(length: int) -> str:
    """A length in milliseconds in its two largest units."""
    if length < 1_000:
        return f"{length} ms"
    parts: list[str] = []
    for unit, size in _UNITS:
        whole, length = divmod(length, size)
        if whole or parts:
            parts.append(f"{whole} {unit}" if whole else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def any_of(things: Sequence[str]) -> str:
    """``this, that or the other``."""
    *first, last = things
    return f"{', '.join(first)} or {last}" if first else last


def by(actor: str | None, via: str | None) -> str:
    """Who did something, to follow a verb: `` by Ada``, or `` through a-key`` without a person."""
    if actor:
        return f" by {actor}"
    return f" through {via}" if via else ""


def moment(at: str) -> str:
    """``2026-11-16 18:15:04 UTC``; bundles write their times in UTC."""
    return f"{at[:10]} {at[11:19]} UTC"


def shorten(text: str, length: int) -> str:
    """The text on one line, cut with an ellipsis beyond so many characters."""
    line = " ".join(text[: 2 * length + 100].split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"
