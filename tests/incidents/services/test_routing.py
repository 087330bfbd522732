"""Which incident a report joins: the rules one by one, without a database."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import pytest

from incidents.enums import Outcome
from incidents.services.aggregation.routing import (
    Candidate,
    Facts,
    Kind,
    OpeningNeeded,
    Router,
    State,
)
from incidents.services.reports import Report

SECOND = 1_000_000
WINDOW, COOLDOWN, HOUR = 300 * SECOND, 60 * SECOND, 3600 * SECOND
A: Kind = ("rate_limit", "a")
B: Kind = ("rate_limit", "b")
MANUAL: Kind = ("manual", "a")
OVERFLOW: Kind = ("rate_limit_overflow", "")
BASE = 1_000_000 * WINDOW

OPENED, AGGREGATED, OVERFLOWED = Outcome.OPENED, Outcome.AGGREGATED, Outcome.OVERFLOWED


def held(kind: Kind, started: int, last_seen: int | None = None, *, window: int = -1) -> Candidate:
    """An unresolved incident; times in seconds after BASE."""
    start = BASE + started * SECOND
    return Candidate(
        id=UUID(int=next(_numbers)),
        kind=kind,
        window_start=start - start % WINDOW if window < 0 else BASE + window * SECOND,
        started=start,
        last_seen=BASE + (started if last_seen is None else last_seen) * SECOND,
    )


_numbers = count(1)


def route(
    *reports: tuple[Kind, float],
    candidates: tuple[Candidate, ...] = (),
    openings: list[int] | None = None,
    limit: int = 20,
    may_open: bool = True,
) -> tuple[list[Candidate], list[int], Router]:
    """Routes reports of these kinds and seconds; ``openings`` are seconds as well."""
    state = State(
        openings=[BASE + s * SECOND for s in openings or []] if may_open else None,
    )
    for one in candidates:
        state.candidates.setdefault(one.kind, []).append(one)
    facts = Facts(window=WINDOW, cooldown=COOLDOWN, incidents_per_hour=limit)
    router = Router(facts=facts, state=state, new_ids=(UUID(int=number) for number in _numbers))
    places, outcomes = router.route(
        [Report(trigger_type=kind[0], group_key=kind[1]) for kind, _ in reports],
        [kind for kind, _ in reports],
        [BASE + int(seconds * SECOND) for _, seconds in reports],
    )
    return places, outcomes, router


def test_route_opens_where_nothing_is() -> None:
    [place], outcomes, router = route((A, 7))
    assert outcomes == [OPENED]
    assert (place.kind, place.window_start) == (A, BASE)
    assert (place.started, place.last_seen) == (BASE + 7 * SECOND, BASE + 7 * SECOND)
    assert router.opened == router.touched == [place]


@pytest.mark.parametrize("at", [0, 1, 150, 299, 299.999999])
def test_route_joins_the_incident_of_its_own_window(at: float) -> None:
    mine = held(A, 150)
    [place], outcomes, _ = route((A, at), candidates=(mine,))
    assert (place, outcomes) == (mine, [AGGREGATED])


@pytest.mark.parametrize(
    ("at", "joins"),
    [(359, True), (360, True), (360.000001, False), (-60, True), (-60.000001, False)],
)
def test_route_widens_the_span_by_the_cooldown_both_ways(at: float, joins: bool) -> None:
    mine = held(A, 0, 300)
    [place], outcomes, _ = route((A, at), candidates=(mine,))
    assert (place is mine) is joins
    assert outcomes == [AGGREGATED if joins else OPENED]


def test_route_prefers_its_own_window_to_a_span() -> None:
    spanning, own = held(A, -100, 250), held(A, 280)
    [place], _, _ = route((A, 10), candidates=(spanning, own))
    assert place is own


@pytest.mark.parametrize("reverse", [False, True])
def test_route_takes_the_latest_of_several_spans(reverse: bool) -> None:
    spans = held(A, -900, 40), held(A, -600, 30), held(A, -1200, 90)
    [place], _, _ = route((A, 50), candidates=spans[::-1] if reverse else spans)
    assert place is spans[1]


def test_route_does_not_mix_kinds() -> None:
    mine = held(A, 0)
    places, outcomes, _ = route((B, 1), (A, 2), (B, 3), candidates=(mine,))
    assert outcomes == [OPENED, AGGREGATED, AGGREGATED]
    assert places[1] is mine
    assert places[0] is places[2]


def test_route_does_not_cut_a_burst_at_the_edge_of_a_window() -> None:
    places, outcomes, router = route(*((A, second) for second in range(280, 1000, 20)))
    assert outcomes == [OPENED] + [AGGREGATED] * 35
    assert set(map(id, places)) == {id(router.opened[0])}
    assert router.opened[0].last_seen == BASE + 980 * SECOND


def test_route_joins_backwards_and_moves_the_start() -> None:
    places, outcomes, router = route((A, 300), (A, 250), (A, 200), (A, 139))
    assert outcomes == [OPENED, AGGREGATED, AGGREGATED, OPENED]
    assert places[0].started == BASE + 200 * SECOND
    assert places[0].window_start == BASE + WINDOW
    assert places[3] is router.opened[1]


def test_route_keeps_the_window_of_an_incident_whose_start_moves() -> None:
    late = held(A, 310)
    places, outcomes, _ = route((A, 290), (A, 100), candidates=(late,))
    # Its span reached back to 290, but its window did not: 100 finds neither window nor span.
    assert outcomes == [AGGREGATED, OPENED]
    assert places[0] is late
    assert late.started == BASE + 290 * SECOND


def test_route_without_the_lock_asks_for_it_only_to_open() -> None:
    mine = held(A, 0)
    _, outcomes, _ = route((A, 1), (A, 2), candidates=(mine,), may_open=False)
    assert outcomes == [AGGREGATED, AGGREGATED]
    with pytest.raises(OpeningNeeded):
        route((A, 1), (B, 2), candidates=(mine,), may_open=False)


@pytest.mark.parametrize(
    ("openings", "outcome"),
    [
        ([1, 2], OVERFLOWED),
        ([1], OPENED),
        ([1, 3600], OVERFLOWED),  # one is of this very moment
        ([0, 1], OPENED),  # one is an hour old, and no longer counts
        ([1, 3601], OPENED),  # one is of the future
        ([-1, 0, 3601, 3602], OPENED),
    ],
)
def test_route_counts_the_openings_of_the_hour_that_ends_at_the_report(
    openings: list[int], outcome: Outcome
) -> None:
    _, outcomes, _ = route((A, 3600), limit=2, openings=openings)
    assert outcomes == [outcome]


def test_route_counts_what_the_batch_itself_opens() -> None:
    kinds = [("rate_limit", str(n)) for n in range(5)]
    places, outcomes, router = route(*((kind, 1) for kind in kinds), openings=[0], limit=3)
    assert outcomes == [OPENED, OPENED, OVERFLOWED, OVERFLOWED, OVERFLOWED]
    assert [one.kind for one in router.opened] == [*kinds[:2], OVERFLOW]
    assert places[2] is places[3] is places[4]


def test_route_never_counts_manual_incidents() -> None:
    manual = [(("manual", str(n)), 1.0) for n in range(5)]
    _, outcomes, router = route(*manual, (A, 2), (B, 3), limit=1)
    assert outcomes == [OPENED] * 6 + [OVERFLOWED]
    assert router.opened[-1].kind == OVERFLOW


def test_route_refuses_manual_ones_past_the_limit_like_any_other() -> None:
    _, outcomes, _ = route((MANUAL, 1), limit=1, openings=[0])
    assert outcomes == [OVERFLOWED]


def test_route_past_the_limit_still_joins_what_is_there() -> None:
    mine = held(A, 0)
    places, outcomes, _ = route((A, 1), (B, 1), candidates=(mine,), limit=0)
    assert outcomes == [AGGREGATED, OVERFLOWED]
    assert places[0] is mine


@pytest.mark.parametrize(
    ("started", "at", "joins"),
    [
        (0, 0, True),
        (0, 3599.999999, True),
        (0, 3600, False),  # an hour old
        (100, 50, True),  # later, but of the same window
        (301, 299, False),  # later, and of another window
    ],
)
def test_route_joins_the_overflow_incident_of_the_hour(
    started: int, at: float, joins: bool
) -> None:
    overflow = held(OVERFLOW, started)
    [place], outcomes, _ = route((A, at), candidates=(overflow,), limit=0)
    assert outcomes == [OVERFLOWED]
    assert (place is overflow) is joins


def test_route_prefers_the_overflow_incident_of_its_window_then_the_latest() -> None:
    old, own, future = held(OVERFLOW, -1000), held(OVERFLOW, -700), held(OVERFLOW, 400)
    [place], _, _ = route((A, 5), candidates=(old, own, future), limit=0)
    assert place is own
    [place], _, _ = route((A, 350), candidates=(old, own, future), limit=0)
    assert place is future


def test_route_makes_room_when_an_incident_moves_out_of_the_hour() -> None:
    mine = held(A, 30, window=0)
    # Joined at 0, the incident of A counts for reports from 0 on, and for 3600 no more.
    _, outcomes, _ = route((B, 3629), (A, 0), (B, 3600), candidates=(mine,), openings=[30], limit=1)
    assert outcomes == [OVERFLOWED, AGGREGATED, OPENED]
