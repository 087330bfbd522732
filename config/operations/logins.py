"""Guessing passwords takes long: how often one may try to log in, the same over all workers.

Attempts are counted before the password is looked at, for the name from this address, for the name
from anywhere and for the address; a login forgives its own. Nobody is locked out for longer than
the span lasts, so that somebody else's guesses cannot keep a person out for ever.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from config import clock
from config.actors import Actor
from config.database.statements import run
from config.operations import audit
from config.operations.models import LoginCount

SPAN: Final = timedelta(minutes=5)
# Attempts in a span.
PER_NAME_AND_ADDRESS: Final = 5
PER_NAME: Final = 50
PER_ADDRESS: Final = 100

_COUNT: Final = """
INSERT INTO operations_logincount AS c (subject, span_start, count) VALUES (%s, %s, 1)
ON CONFLICT (subject, span_start) DO UPDATE SET count = c.count + 1
RETURNING count
"""


def attempt(*, name: str, address: str) -> int | None:
    """Counts an attempt; None when it may be made, else in how many seconds another one may."""
    now = clock.now()
    start = _span_start(now)
    seconds = int((start + SPAN - now).total_seconds()) + 1
    limits = (
        (_subject(name, address), PER_NAME_AND_ADDRESS),
        (_subject(name), PER_NAME),
        (_subject("", address), PER_ADDRESS),
    )
    for subject, limit in limits:
        ((count,),) = run(_COUNT, [subject, start])
        if count == limit + 1:
            audit.record(
                "login throttled",
                by=Actor(via="admin", name=audit.typed(name)),
                data={"address": address, "seconds": seconds},
            )
        if count > limit:
            return seconds
    return None


def succeeded(*, name: str, address: str) -> None:
    """Forgives the attempts of somebody who has logged in."""
    LoginCount.objects.filter(subject=_subject(name, address)).delete()


def purge() -> int:
    """Deletes the counts of spans that are over; how many there were."""
    deleted, _ = LoginCount.objects.filter(span_start__lt=_span_start(clock.now())).delete()
    return deleted


def _span_start(now: datetime) -> datetime:
    return now - timedelta(seconds=now.timestamp() % SPAN.total_seconds())


def _subject(*parts: str) -> bytes:
    # As people are looked up: whatever the spelling, it is one name to guess for.
    text = "\0".join(part.strip().lower().replace("\0", "") for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
