"""Which times have to be read: histograms tell where a median lies and where a target cuts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from incidents.models.rollup import SLOT_EDGES
from incidents.services import rollup
from incidents.services.metrics.sums import EXACT, KINDS, Sums, Targets


class Spread:
    """How many times of a kind are in each slot, over some sums together."""

    def __init__(self, sums: Iterable[Sums], kind: str) -> None:
        histogram = Decimal(0)
        self._times: list[int] = []
        self._sign = 1
        for one in sums:
            # Numbers of thousands of digits are added in an instant, and taken apart but once.
            histogram = EXACT.add(histogram, one.histogram[kind])
            self._times += one.times_us[kind]
            self._sign = one.times_sign
        self._times.sort()
        counts = rollup.slots(histogram)
        self._before = [0, *accumulate(counts)]
        self.total = self.before(len(counts))

    def before(self, slot: int) -> int:
        """How many are in the slots before this one."""
        if slot > len(SLOT_EDGES):
            return self._before[-1] + self._sign * len(self._times)
        sooner = bisect_left(self._times, SLOT_EDGES[slot - 1]) if slot else 0
        return self._before[slot] + self._sign * sooner

    def within(self, slot: int) -> int:
        return self.before(slot + 1) - self.before(slot)

    def slot_of_rank(self, rank: int) -> int:
        """The slot of the time that so many come before."""
        return bisect_right(range(1, len(self._before)), rank, key=self.before)


@dataclass(frozen=True, slots=True)
class Question:
    """About the incidents whose time is in some slots: how many met a target, or the middle."""

    kind: str
    severity: int | None
    low: int | None
    high: int | None
    expected: int
    target_us: int | None = None
    first: int = 0


def questions_of(
    sums: Mapping[int, Sums], targets: Targets, spreads: Mapping[tuple[int, str], Spread]
) -> list[Question]:
    questions = []
    for kind in KINDS:
        if (middle := _middle(sums.values(), kind)) is not None:
            questions.append(middle)
        for severity, of_severity in targets.items():
            seconds = of_severity[kind]
            if seconds is None:
                continue
            slot = rollup.slot_of(seconds * 1_000_000)
            if expected := spreads[severity, kind].within(slot):
                low, high = rollup.slot_range(slot)
                questions.append(
                    Question(kind, severity, low, high, expected, target_us=seconds * 1_000_000)
                )
    return questions


def _middle(every: Iterable[Sums], kind: str) -> Question | None:
    """Which slots hold the middle one, or two, of all times."""
    spread = Spread(every, kind)
    if not spread.total:
        return None
    lower, upper = (spread.total - 1) // 2, spread.total // 2
    first, last = spread.slot_of_rank(lower), spread.slot_of_rank(upper)
    before = spread.before(first)
    return Question(
        kind,
        None,
        rollup.slot_range(first)[0],
        rollup.slot_range(last)[1],
        spread.before(last + 1) - before,
        first=lower - before,
    )
