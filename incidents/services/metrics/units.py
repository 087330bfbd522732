"""How figures are told: times in milliseconds, means of costs in cents."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction


def milliseconds(us: Fraction) -> float:
    """Microseconds as milliseconds with three decimals, rounded half to even."""
    return float(round(us / 1_000, 3))


def mean_cents(cost: Decimal, count: int) -> Decimal:
    """The mean of so many costs, in cents with four decimals, rounded half to even."""
    ten_thousandths = round(Fraction(cost) * 10_000 / count)
    return Decimal(ten_thousandths).scaleb(-4)


def microseconds(delta: timedelta) -> Fraction:
    return Fraction(delta // timedelta(microseconds=1))
