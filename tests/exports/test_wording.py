from __future__ import annotations

import pytest

from exports.services import wording


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("0.0000", "0.00 cents"),
        ("14.2210", "14.221 cents"),
        ("1234567", "1,234,567.00 cents"),
        ("0.0001", "0.0001 cents"),
        ("999999999999.9999", "999,999,999,999.9999 cents"),
        (None, "not recorded"),
    ],
)
def test_cents_loses_no_digit(amount: str | None, said: str) -> None:
    assert wording.cents(amount) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (61_500, "1 min 1 s"),
        (3_600_000, "1 h"),
        (5_040_000, "1 h 24 min"),
        (3_601_000, "1 h"),
        (86_400_000 * 400 + 7_200_000, "400 d 2 h"),
    ],
)
def test_milliseconds_gives_the_two_largest_units(length: int, said: str) -> None:
    assert wording.milliseconds(length) == said


def test_duration_is_never_negative() -> None:
    assert wording.duration("2026-01-01T00:00:10Z", "2026-01-01T00:00:00Z") == "0 ms"


@pytest.mark.parametrize(
    ("number", "said"), [(0, "no run"), (1, "1 run"), (2, "2 runs"), (1234, "1,234 runs")]
)
def test_count_speaks_of_one_and_many(number: int, said: str) -> None:
    assert wording.count(number, "run") == said


def test_shorten_keeps_to_one_line_and_its_length() -> None:
    assert wording.shorten("a\n b\t c", 10) == "a b c"
    assert wording.shorten("x" * 10, 10) == "x" * 10
    assert wording.shorten("x" * 11, 10) == "x" * 9 + "…"
