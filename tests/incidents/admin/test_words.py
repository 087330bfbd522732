"""How the admin writes numbers, money and times."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from incidents.templatetags import firebreak


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (9_999_999, "9,999,999"),
        (10_000_000, "10.0M"),
        (49_763_770, "49.8M"),
        (999_499_999, "999M"),
        (999_500_000, "1.00B"),
        (123_456_789_012, "123B"),
        (1_234_567_890_123, "1230B"),
    ],
)
def test_brief_count(value: int, shown: str) -> None:
    assert firebreak.brief_count(value) == shown


@pytest.mark.parametrize(
    ("cents", "shown"),
    [
        ("0", "$0.00"),
        ("0.0125", "$0.000125"),
        ("999999.4", "$9,999.99"),
        ("1000000", "$10,000"),
        ("99999949", "$999,999"),
        ("99999950", "$1.00M"),
        ("149079820", "$1.49M"),
        ("99950000000", "$1.00B"),
    ],
)
def test_brief_money(cents: str, shown: str) -> None:
    assert firebreak.brief_money(Decimal(cents)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (59, "59 s"), (720, "12 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert firebreak.duration(seconds) == shown


@pytest.mark.parametrize(
    ("length", "shown"),
    [(timedelta(), "0 s"), (timedelta(milliseconds=340), "340 ms"), (timedelta(seconds=1), "1 s")],
)
def test_short(length: timedelta, shown: str) -> None:
    assert firebreak.short(length) == shown
