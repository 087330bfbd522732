"""The faults, one after the other, and what each of them was."""

from __future__ import annotations

import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg

from tests.faults.stage import Stage
from tests.faults.traffic import Ledger

# Seconds after which the server no longer takes one death of a worker for a part of the next.
CRASH_LOOP = 7.0


class Trouble:
    """Makes trouble of every kind in turns, in a random order, until time is up.

    The eldest worker is never killed, so that one process lives through everything else and its
    memory can be watched.
    """

    def __init__(self, stage: Stage, ledger: Ledger, *, seed: int) -> None:
        self.made: Counter[str] = Counter()
        self._stage = stage
        self._ledger = ledger
        self._chance = random.Random(seed)
        self._kinds: list[Callable[[], None]] = [
            self.kill_worker,
            self.restart_fast,
            self.restart_immediate,
            self.kill_backend,
            self.cut_connections,
            self.skew_clock,
        ]
        if stage.small_disk:
            self._kinds.append(self.fill_disk)

    def make(self, *, until: float, every: float) -> None:
        """Makes trouble every so many seconds, and puts everything right at the end."""
        waiting: list[Callable[[], None]] = []
        while time.monotonic() + every < until:
            time.sleep(every)
            if not waiting:
                waiting = self._chance.sample(self._kinds, len(self._kinds))
            fault = waiting.pop()
            print(f"  {fault.__name__.replace('_', ' ')}", file=sys.stderr, flush=True)
            fault()
            self.made[fault.__name__.replace("_", " ")] += 1
        self._stage.skew({})

    def kill_worker(self) -> None:
        if self._ledger.kills:
            # The server takes a worker that dies soon after the one before for a crash loop, and
            # ends: as it should, but that is not what is tried here.
            time.sleep(max(self._ledger.kills[-1][1] + CRASH_LOOP - time.monotonic(), 0))
        workers = self._stage.workers()
        if len(workers) < 2:
            return
        begun = time.monotonic()
        # Until it is gone the kernel may still hand it connections; and who finds that out at
        # once should already be excused.
        self._ledger.kills.append((begun, begun + 60))
        with suppress(psutil.NoSuchProcess):
            workers[-1].kill()
            workers[-1].wait(60)
        self._ledger.kills[-1] = (begun, time.monotonic())

    def restart_fast(self) -> None:
        self._stage.stop_database(signal.SIGINT)
        time.sleep(self._chance.uniform(0, 1))
        self._stage.start_database()

    def restart_immediate(self) -> None:
        self._stage.stop_database(signal.SIGQUIT)
        self._stage.start_database()

    def kill_backend(self) -> None:
        self._stage.kill_backend()

    def cut_connections(self) -> None:
        for _ in range(5):
            with suppress(psycopg.OperationalError):  # it may be recovering from the last fault
                self._stage.cut_connections()
            time.sleep(self._chance.uniform(0, 0.3))

    def skew_clock(self) -> None:
        """Early or late, by less than what an alert may be ahead: nothing is refused for it."""
        for worker in self._stage.workers()[:1]:
            self._stage.skew({worker.pid: self._chance.choice([-240, -60, 60, 240])})

    def fill_disk(self) -> None:
        """Until PostgreSQL has refused something for want of space, and a moment longer."""
        before = self._stage.refusals_for_space()
        deadline = time.monotonic() + 10
        self._stage.fill_disk()
        while self._stage.refusals_for_space() == before and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
        self._stage.free_disk()
        # Without room for its log it gives up, and is started again when there is some.
        self._stage.start_database()


class MemoryWatch:
    """The resident memory of the eldest worker, in bytes, over its life."""

    def __init__(self, stage: Stage) -> None:
        self.eldest = stage.workers()[0]
        self.samples: list[int] = []

    def sample(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self.samples.append(self.eldest.memory_info().rss)

    def quarters(self) -> list[float]:
        """The medians of the four quarters of the samples, in MiB."""
        quarter = max(1, len(self.samples) // 4)
        return [
            statistics.median(self.samples[at : at + quarter]) / 2**20
            for at in range(0, quarter * 4, quarter)
        ]
