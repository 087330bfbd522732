from __future__ import annotations

from datetime import UTC, datetime, timedelta

from config import clock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_uuid7_has_its_version_and_time() -> None:
    with clock.pretend(NOON):
        made = clock.uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(NOON.timestamp() * 1000)


def test_uuid7_keeps_the_order_in_which_ids_were_made() -> None:
    made = [clock.uuid7() for _ in range(5_000)]
    assert made == sorted(made)
    with clock.pretend(NOON):
        made = [clock.uuid7() for _ in range(1_000)]
    assert made == sorted(made)


def test_pretend_ends() -> None:
    with clock.pretend(NOON):
        with clock.pretend(NOON + timedelta(days=1)):
            assert clock.now() == NOON + timedelta(days=1)
        assert clock.now() == NOON
    assert clock.now() != NOON
