"""Time and identity: the one place that asks what time it is and makes new ids."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_pretended: ContextVar[datetime | None] = ContextVar("pretended", default=None)


def now() -> datetime:
    """The present moment, timezone-aware, in UTC."""
    return _pretended.get() or datetime.now(UTC)


@contextmanager
def pretend(moment: datetime) -> Iterator[None]:
    """Makes ``moment`` the present in this thread: for tests, and for history that is made up."""
    token = _pretended.set(moment)
    try:
        yield
    finally:
        _pretended.reset(token)


def uuid7() -> uuid.UUID:
    """A new UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, 12 of their fraction, 62 random.

    The fraction (the RFC's third method) grows by at least one within a millisecond, so that a
    thread's ids are in the order it made them in.
    """
    global _last
    pretended = _pretended.get()
    nanoseconds = int(pretended.timestamp() * 1e9) if pretended else time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    if _last[0] == milliseconds and fraction <= _last[1] < 4095:
        fraction = _last[1] + 1
    _last = (milliseconds, fraction)
    value = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | fraction << 64
        | 0x2 << 62
        | int.from_bytes(os.urandom(8)) >> 2
    )
    return uuid.UUID(int=value)


def uuid7s() -> Iterator[uuid.UUID]:
    """UUIDv7 values of one moment without end, each one more than the one before."""
    for value in itertools.count(uuid7().int):
        yield uuid.UUID(int=value)


_last = (0, 0)
