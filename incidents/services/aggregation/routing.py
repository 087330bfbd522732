"""Deciding which incident each report of a batch joins: pure, in order, in memory.

Times are integers of microseconds since the Unix epoch throughout: comparing them is what this
module does a million times.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from incidents import facts
from incidents.enums import Outcome
from incidents.services.reports import AnyReport

HOUR: Final = 3_600_000_000

Kind = tuple[str, str]
"""Trigger type and group key, within one tenant."""


@dataclass(slots=True, eq=False)
class Candidate:
    """An unresolved incident as routing sees it, and what this batch adds to it.

    ``started`` and ``last_seen`` move as reports join; ``first_report`` is set when the batch
    itself opens the incident.
    """

    id: UUID
    kind: Kind
    window_start: int
    started: int
    last_seen: int
    first_report: AnyReport | None = None


@dataclass(slots=True, kw_only=True)
class Facts:
    """What routing goes by, in microseconds: the tenant's window, cooldown and hourly limit."""

    window: int
    cooldown: int
    incidents_per_hour: int


@dataclass(slots=True, kw_only=True)
class State:
    """What the database said before the batch: unresolved incidents by kind, and openings.

    ``openings`` are the sorted ``started`` times of the tenant's incidents that count towards
    the hourly limit; None while the tenant's lock is not held, when nothing may be opened.
    ``rules_version`` is None for a tenant that never had a rule.
    """

    candidates: dict[Kind, list[Candidate]] = field(default_factory=dict)
    openings: list[int] | None = None
    rules_version: UUID | None = None


class OpeningNeeded(Exception):
    """A report needs a new incident and the tenant's lock is not held."""


class Router:
    """Routes reports one after the other, as if each had come alone."""

    def __init__(self, *, facts: Facts, state: State, new_ids: Iterator[UUID]) -> None:
        self._facts = facts
        self._openings = state.openings
        self._new_ids = new_ids
        self._kinds = state.candidates
        self._windows: dict[tuple[Kind, int], Candidate] = {
            (kind, candidate.window_start): candidate
            for kind, candidates in state.candidates.items()
            for candidate in candidates
        }
        self.opened: list[Candidate] = []
        self.touched: list[Candidate] = []

    def route(
        self, reports: Sequence[AnyReport], kinds: Sequence[Kind], times: Sequence[int]
    ) -> tuple[list[Candidate], list[int]]:
        """The incident and the outcome of every report, in order.

        Raises OpeningNeeded, with nothing but memory touched, when an incident has to be opened
        and ``openings`` were not given.
        """
        window, cooldown = self._facts.window, self._facts.cooldown
        aggregated = int(Outcome.AGGREGATED)
        if (place := self._common(kinds, times)) is not None:
            self.touched = [place]
            return [place] * len(times), [aggregated] * len(times)
        places: list[Candidate] = []
        outcomes: list[int] = []
        own: Candidate | None = None
        last_kind, last_window = None, -1
        for index, (kind, at) in enumerate(zip(kinds, times, strict=True)):
            start = at - at % window
            if kind is not last_kind or start != last_window:
                last_kind, last_window = kind, start
                own = self._windows.get((kind, start))
            outcome = aggregated
            place = own or self._spanning(kind, at - cooldown, at + cooldown)
            if place is None:
                place, outcome = self._open(reports[index], kind, at)
                own = self._windows.get((kind, start))
            if at > place.last_seen:
                place.last_seen = at
            elif at < place.started:
                self._start_earlier(place, at)
            places.append(place)
            outcomes.append(outcome)
        self.touched = list(dict.fromkeys(places))
        return places, outcomes

    def _common(self, kinds: Sequence[Kind], times: Sequence[int]) -> Candidate | None:
        """The incident of the window that all reports are of, as in most batches of a flood."""
        if not times or kinds.count(kinds[0]) < len(kinds):
            return None
        first, last = min(times), max(times)
        start = first - first % self._facts.window
        if last - start >= self._facts.window:
            return None
        place = self._windows.get((kinds[0], start))
        if place is not None:
            if last > place.last_seen:
                place.last_seen = last
            if first < place.started:
                self._start_earlier(place, first)
        return place

    def _spanning(self, kind: Kind, earliest: int, latest: int) -> Candidate | None:
        """The latest incident of the kind whose span meets the interval."""
        found = None
        for candidate in self._kinds.get(kind, ()):
            if (
                candidate.started <= latest
                and candidate.last_seen >= earliest
                and (found is None or candidate.started >= found.started)
            ):
                found = candidate
        return found

    def _open(self, report: AnyReport, kind: Kind, at: int) -> tuple[Candidate, int]:
        if self._openings is None:
            raise OpeningNeeded
        in_hour = bisect_right(self._openings, at) - bisect_right(self._openings, at - HOUR)
        if in_hour < self._facts.incidents_per_hour:
            if counts_to_limit(kind[0]):
                insort(self._openings, at)
            return self._new(report, kind, at), int(Outcome.OPENED)
        kind = (facts.TRIGGER_OVERFLOW, "")
        place = self._windows.get((kind, at - at % self._facts.window))
        if place is None:
            for candidate in self._kinds.get(kind, ()):
                if at - HOUR < candidate.started <= at and (
                    place is None or candidate.started >= place.started
                ):
                    place = candidate
        return place or self._new(report, kind, at), int(Outcome.OVERFLOWED)

    def _new(self, report: AnyReport, kind: Kind, at: int) -> Candidate:
        candidate = Candidate(
            id=next(self._new_ids),
            kind=kind,
            window_start=at - at % self._facts.window,
            started=at,
            last_seen=at,
            first_report=report,
        )
        self._kinds.setdefault(kind, []).append(candidate)
        self._windows[kind, candidate.window_start] = candidate
        self.opened.append(candidate)
        return candidate

    def _start_earlier(self, place: Candidate, at: int) -> None:
        if self._openings is not None and counts_to_limit(place.kind[0]):
            # The hourly limit goes by started_at: one that moves counts where it moved to.
            index = bisect_right(self._openings, place.started) - 1
            if index >= 0 and self._openings[index] == place.started:
                del self._openings[index]
            insort(self._openings, at)
        place.started = at


def counts_to_limit(trigger_type: str) -> bool:
    """Whether incidents of this trigger count towards the hourly limit of new ones."""
    return trigger_type not in (facts.TRIGGER_MANUAL, facts.TRIGGER_OVERFLOW)
