"""How long a request waits for the database: for one statement, and for somebody else's lock.

Migrations, housekeeping and commands wait as long as it takes; the limits are those of a request's
transactions (``config.tenancy.scope`` sets them), never of a connection, which a pooler may hand to
somebody else. A request that they end is answered 503, and nothing of it was kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from django.conf import settings

# To be selected beside what else a transaction begins with; takes two parameters.
SET: Final = "set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"

_in_request: ContextVar[bool] = ContextVar("in_request", default=False)


@contextmanager
def of_a_request() -> Iterator[None]:
    """Within, transactions are limited as those of a request."""
    token = _in_request.set(True)
    try:
        yield
    finally:
        _in_request.reset(token)


def limits() -> list[str] | None:
    """The parameters of ``SET`` for a transaction that begins now; None: no limits."""
    if not _in_request.get():
        return None
    return [
        f"{settings.REQUEST_STATEMENT_SECONDS * 1_000:.0f}",
        f"{settings.REQUEST_LOCK_SECONDS * 1_000:.0f}",
    ]
