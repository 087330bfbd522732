"""Time and identity: the one place that asks what time it is and makes new ids."""

from __future__ import annotations

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
    """A new UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    pretended = _pretended.get()
    nanoseconds = int(pretended.timestamp() * 1e9) if pretended else time.time_ns()
    random_bits = int.from_bytes(os.urandom(10))
    value = (
        (nanoseconds // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random_bits >> 62 & 0xFFF) << 64
        | 0x2 << 62
        | random_bits & 0x3FFF_FFFF_FFFF_FFFF
    )
    return uuid.UUID(int=value)
