"""Whether the streaming replica may answer: it must live, and not be behind what is asked of it.

What is compared are positions in the primary's write-ahead log. A replica that has replayed a
position shows every transaction that was committed before it, so that a request which knows where
the primary was when it arrived is answered as the primary would have answered it then. Where an
answer may be some seconds old, no request asks anything: once a second each process notes the
primary's position and the replica's, and the newest position of the primary's that the replica has
reached says how old its rows are. Clocks are never compared, and a replica that lost its primary
grows old like any other.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextvars import ContextVar
from typing import Final

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from config.database.routing import REPLICA
from config.database.statements import run

CHECK_SECONDS: Final = 1.0
# After a failure: every look at a dead host costs its connect timeout.
RETRY_SECONDS: Final = 5.0
FAILURES: Final = (OperationalError, InterfaceError)

# Where the primary's log is: every commit that was answered lies before it. In bytes, as a number.
POSITION: Final = "pg_current_wal_flush_lsn() - '0/0'"
_PRIMARY: Final = f"SELECT {POSITION}"
_REPLICA: Final = "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() - '0/0'"

_log = structlog.get_logger("firebreak.replica")

# Where the primary was when it looked up the key of this request.
_arrived: ContextVar[int | None] = ContextVar("arrived", default=None)


def is_configured() -> bool:
    return REPLICA in settings.DATABASES


def note_arrival(position: int) -> None:
    """Remembers where the primary was when this thread's request arrived."""
    _arrived.set(position)


class Monitor:
    """What this process knows of the replica; one thread at a time looks, the others do not wait.

    ``max_lag`` is in seconds, and counts the second for which an observation is kept.
    """

    def __init__(self, *, max_lag: float) -> None:
        self._max_lag = max_lag
        self._guard = threading.Lock()
        self._look_at = 0.0
        self._lives = False
        self._replayed = -1
        self._seen_at = -1.0
        # (time, position of the primary), oldest first; the first is the one that was reached.
        self._positions: deque[tuple[float, int]] = deque(maxlen=120)

    def has_all(self) -> bool:
        """Whether the replica shows everything that was committed before this request arrived.

        Costs a query on the replica if something was written within the last second, else none.
        """
        arrived = _arrived.get()
        if arrived is None or not self._looked():
            return False
        if self._replayed < arrived:
            in_recovery, replayed = run(_REPLICA, [], using=REPLICA)[0]
            if not in_recovery:
                return False
            self._replayed = max(self._replayed, int(replayed))
        return self._replayed >= arrived

    def is_recent(self) -> bool:
        """Whether the replica's rows are at most ``max_lag`` seconds old; costs no query."""
        return self._looked() and time.monotonic() - self._seen_at <= self._max_lag

    def failed(self, error: Exception) -> None:
        """Leaves the replica alone for a while."""
        with self._guard:
            if self._lives:
                _log.warning("replica unavailable", error=" ".join(str(error).split()))
            self._lives = False
            self._look_at = time.monotonic() + RETRY_SECONDS
        connections[REPLICA].close()

    def _looked(self) -> bool:
        """Whether the replica lives, as far as is known; looks when that was too long ago."""
        if time.monotonic() >= self._look_at and self._guard.acquire(blocking=False):
            try:
                if time.monotonic() >= self._look_at:
                    self._look()
            finally:
                self._guard.release()
        return self._lives

    def _look(self) -> None:
        at = time.monotonic()
        ((primary,),) = run(_PRIMARY, [], using=DEFAULT_DB_ALIAS)
        try:
            ((in_recovery, replayed),) = run(_REPLICA, [], using=REPLICA)
        except FAILURES as error:
            if self._lives:
                _log.warning("replica unavailable", error=" ".join(str(error).split()))
            self._lives = False
            self._look_at = time.monotonic() + RETRY_SECONDS
            connections[REPLICA].close()
            return
        self._look_at = at + CHECK_SECONDS
        self._positions.append((at, int(primary)))
        if not in_recovery:
            self._lives = False  # it was promoted: what it has now is its own
            return
        while self._positions and self._positions[0][1] <= replayed:
            self._seen_at = self._positions.popleft()[0]
        self._replayed = int(replayed)
        self._lives = True


monitor = Monitor(max_lag=settings.DATABASE_REPLICA_MAX_LAG)
