"""Values of the database as bundles write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import overload

from config.api.values import format_money, format_timestamp


@overload
def moment(at: datetime) -> str: ...
@overload
def moment(at: None) -> None: ...
@overload
def moment(at: datetime | None) -> str | None: ...
def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC; null stays null."""
    return None if at is None else format_timestamp(at)


@overload
def money(cents: Decimal) -> str: ...
@overload
def money(cents: None) -> None: ...
@overload
def money(cents: Decimal | None) -> str | None: ...
def money(cents: Decimal | None) -> str | None:
    """A decimal string of cents with four places; null stays null."""
    return None if cents is None else format_money(cents)


def known(numbers: Iterable[int | None]) -> int | None:
    """The sum of what is known; null when nothing is."""
    found = [number for number in numbers if number is not None]
    return sum(found) if found else None


def known_money(amounts: Iterable[Decimal | None]) -> str | None:
    """The sum of what is known, as cents; null when nothing is."""
    found = [amount for amount in amounts if amount is not None]
    return money(sum(found, Decimal())) if found else None
