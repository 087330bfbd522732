"""The one door: folding a batch of reports into incidents, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from uuid import UUID

from config import clock
from config.database import planner
from config.database.statements import run
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents import facts
from incidents.enums import EventType, Outcome, Severity
from incidents.services.aggregation import linking, opening, preventing, writing
from incidents.services.aggregation.batches import Batch, prepare
from incidents.services.aggregation.routing import (
    Candidate,
    OpeningNeeded,
    Router,
    State,
)
from incidents.services.aggregation.state import (
    ask_for_known,
    ask_for_state,
    known_calls,
    known_overflow_calls,
    lock_creation,
    read_openings,
    read_state,
)
from incidents.services.matching import Match
from incidents.services.reports import AnyReport

_MAX_ATTEMPTS: Final = 100


@dataclass(slots=True)
class Absorbed:
    """What became of a batch.

    ``outcomes`` (values of :class:`Outcome`) and ``incident_ids`` run parallel to the reports;
    ``incidents`` holds, by id and in the order of their first report, each incident that took
    one of them, as it was after the batch; ``counts`` adds the rejected ones, so that it sums to
    everything received.
    """

    outcomes: list[int] = field(default_factory=list)
    incident_ids: list[UUID | None] = field(default_factory=list)
    incidents: writing.Incidents = field(default_factory=lambda: writing.Incidents({}))
    counts: dict[Outcome, int] = field(default_factory=dict)

    @property
    def received(self) -> int:
        return sum(self.counts.values())


class _PlanIsStale(Exception):
    """The database moved on between planning and writing."""


def absorb(
    *, tenant: Tenant, alerts: Sequence[AnyReport], rejected: int = 0, via: str = "aggregation"
) -> Absorbed:
    """Folds reports of one tenant into its incidents; every report has exactly one outcome.

    The batch commits as a whole (or joins the caller's transaction). It is folded in as if its
    reports had come one by one in this order. ``rejected`` counts those of the same request that
    were refused before; ``via`` names on the timeline what they came through.
    """
    return fold(prepare(tenant=tenant, alerts=alerts, rejected=rejected), via=via)


def fold(batch: Batch, *, via: str = "aggregation", durable: bool = True) -> Absorbed:
    """Folds a prepared batch in; see :func:`absorb`.

    One that is not ``durable`` is committed without waiting for the disk: should the database
    crash before :func:`make_durable` returns, it may be gone, as if it had never been sent.
    """
    fold_in = _fold_unknown if batch.repeats else _fold_new
    for _ in range(_MAX_ATTEMPTS):
        try:
            absorbed = fold_in(batch, via=via, durable=durable)
        except _PlanIsStale:
            fold_in = _fold_unknown
        else:
            planner.inform_once_committed()
            return absorbed
    raise RuntimeError("aggregation did not settle")  # pragma: no cover


def make_durable() -> None:
    """Returns when all that was committed before is on disk, waited for or not."""
    with scope.everything():
        # A line in the log that means nothing: its commit waits for all the log before it.
        run("SELECT pg_logical_emit_message(true, 'firebreak', 'durable')", [])


def reject(*, tenant: Tenant, count: int = 1) -> None:
    """Counts reports that were refused as a whole request, and so never came through the door."""
    with scope.tenant(tenant.pk):
        writing.write_tally(tenant.pk, {Outcome.REJECTED: count}, at=clock.now())


def _fold_new(batch: Batch, *, via: str, durable: bool) -> Absorbed:
    """Folds in a batch whose calls are taken to be new, as nearly all are."""
    if not batch.reports:
        with scope.tenant(batch.tenant_id, durable=durable):
            return _record_nothing(batch, {})
    asking = ask_for_state(batch)
    with scope.tenant(batch.tenant_id, plan_once=True, durable=durable, asking=asking) as rows:
        return _record(batch, read_state(rows), duplicates=0, via=via)


def _fold_unknown(batch: Batch, *, via: str, durable: bool) -> Absorbed:
    """Folds in a batch of which some calls may be recorded already, or be there twice."""
    first = batch.first()
    asking = ask_for_known(batch.tenant_id, list(first))
    with scope.tenant(batch.tenant_id, plan_once=True, durable=durable, asking=asking) as rows:
        known = known_calls(rows)
        fresh = [place for key, place in first.items() if key not in known]
        fresh.sort()
        if not fresh:
            return _record_nothing(batch, known)
        rest = batch.only(fresh)
        state = read_state(run(*ask_for_state(rest)))
        recorded = _record(rest, state, duplicates=len(batch) - len(fresh), via=via)
        return _with_duplicates(batch, fresh, recorded, known)


def _record_nothing(batch: Batch, known: Mapping[bytes, UUID | None]) -> Absorbed:
    counts = {Outcome.DUPLICATE: len(batch), Outcome.REJECTED: batch.rejected}
    if sum(counts.values()):
        writing.write_tally(batch.tenant_id, counts, at=batch.at)
    return _with_duplicates(batch, [], Absorbed(counts=counts), known)


def _record(batch: Batch, state: State, *, duplicates: int, via: str) -> Absorbed:
    """Records the reports of a batch in which none is known to be a duplicate."""
    router, places, outcomes, matches = _route(batch, state)
    deltas = _deltas(batch, places, outcomes)
    touched: list[writing.Touched] = []
    if router.opened:
        touched = opening.insert_incidents(
            batch.tenant_id,
            router.opened,
            deltas,
            via=via,
            limit=batch.facts.incidents_per_hour,
            received=batch.at,
            # Not batch.at: it must not lie before the lock was had (see state.await_openings).
            at=clock.now(),
        )
        for candidate in router.opened:
            del deltas[candidate]
    counts = {
        Outcome.OPENED: outcomes.count(Outcome.OPENED),
        Outcome.AGGREGATED: outcomes.count(Outcome.AGGREGATED),
        Outcome.OVERFLOWED: outcomes.count(Outcome.OVERFLOWED),
        Outcome.PREVENTED: outcomes.count(Outcome.PREVENTED),
        Outcome.DUPLICATE: duplicates,
        Outcome.REJECTED: batch.rejected,
    }
    columns = batch.columns.copy()
    id_of = {place: None if place is None else place.id for place in set(places)}
    packed = {place: None if id_ is None else id_.bytes for place, id_ in id_of.items()}
    ids = list(map(id_of.__getitem__, places))
    columns.add("incident_id", "uuid", list(map(packed.__getitem__, places)))
    columns.add("outcome", "smallint", outcomes)
    added_to = writing.write_alerts(
        columns,
        tenant_id=batch.tenant_id,
        deltas={place.id: delta for place, delta in deltas.items()},
        counts=counts,
        at=batch.at,
    )
    if added_to is None:
        raise _PlanIsStale
    touched += added_to
    if matches:
        preventing.note(batch, ids, matches)
    _note_escalations(batch, touched, via=via)
    if batch.has_runs:
        linking.link(batch, places)
    rows = {one.id: one.row for one in touched}
    return Absorbed(
        outcomes=outcomes,
        incident_ids=ids,
        incidents=writing.Incidents({place.id: rows[place.id] for place in router.touched}),
        counts=counts,
    )


def _route(
    batch: Batch, state: State
) -> tuple[Router, list[Candidate | None], list[int], list[Match | None]]:
    """Plans without the creation lock first; with it only if something has to be opened.

    The place of a prevented report is None. The rules that the reports meet run parallel to
    them; the list is empty when no report meets any.
    """
    while True:
        matches: list[Match | None] = []
        if state.rules_version is not None:
            matches = preventing.match(batch, state.rules_version)
        router = Router(facts=batch.facts, state=state, new_ids=clock.uuid7s())
        try:
            return router, *_places(batch, router, matches), matches
        except OpeningNeeded:
            lock_creation(batch.tenant_id)
            overflow = (facts.TRIGGER_OVERFLOW, "")
            state = read_state(run(*ask_for_state(batch, overflow)))
            state.openings = read_openings(batch)


def _places(
    batch: Batch, router: Router, matches: Sequence[Match | None]
) -> tuple[list[Candidate | None], list[int]]:
    """Where the router puts the reports that no rule prevents, among those that one does."""
    allowed = [index for index, match in enumerate(matches) if match is None or not match.prevents]
    if not matches or len(allowed) == len(matches):
        routed = router.route(batch.reports, batch.kinds, batch.times)
        return list(routed[0]), routed[1]
    routed = router.route(
        [batch.reports[i] for i in allowed],
        [batch.kinds[i] for i in allowed],
        [batch.times[i] for i in allowed],
    )
    places: list[Candidate | None] = [None] * len(batch)
    outcomes = [int(Outcome.PREVENTED)] * len(batch)
    for index, place, outcome in zip(allowed, *routed, strict=True):
        places[index], outcomes[index] = place, outcome
    return places, outcomes


def _note_escalations(batch: Batch, touched: Sequence[writing.Touched], *, via: str) -> None:
    events = [
        (
            one.id,
            EventType.ESCALATED,
            f"Escalated from {Severity(level - 1).label} to {Severity(level).label}: "
            f"{_threshold(level)} calls affected.",
            {"from": Severity(level - 1).label, "to": Severity(level).label},
        )
        for one in touched
        for level in range(one.severity_before + 1, one.severity + 1)
    ]
    if events:
        # An incident that this batch opened was opened later than the batch came.
        at = max([batch.at, *(one.created_at for one in touched)])
        writing.insert_events(batch.tenant_id, events, via=via, at=at)


def _with_duplicates(
    batch: Batch,
    fresh: Sequence[int],
    recorded: Absorbed,
    known: Mapping[bytes, UUID | None],
) -> Absorbed:
    """The answer for the whole batch, given the one for its fresh reports."""
    answer = Absorbed(counts=recorded.counts)
    first = batch.first()
    where = {place: position for position, place in enumerate(fresh)}
    for place, key in enumerate(batch.keys):
        position = where.get(place)
        if position is not None:
            answer.outcomes.append(recorded.outcomes[position])
            answer.incident_ids.append(recorded.incident_ids[position])
            continue
        answer.outcomes.append(Outcome.DUPLICATE)
        position = where.get(first[key])
        answer.incident_ids.append(
            known[key] if position is None else recorded.incident_ids[position]
        )
    mentioned = dict.fromkeys(id_ for id_ in answer.incident_ids if id_ is not None)
    answer.incidents = recorded.incidents.among(mentioned)
    return answer


def _deltas(
    batch: Batch, places: Sequence[Candidate | None], outcomes: Sequence[int]
) -> dict[Candidate, writing.Delta]:
    """What each incident gains. Calls of an ordinary incident are distinct by their keys."""
    last = places[0]
    if last is not None and outcomes[0] != Outcome.OVERFLOWED and places.count(last) == len(places):
        return {
            last: writing.Delta(
                calls=batch.calls,
                alerts=len(batch),
                cost=batch.cost,
                first=batch.earliest,
                last=batch.latest,
            )
        }
    deltas: dict[Candidate, writing.Delta] = {}
    overflowed: dict[Candidate, set[str]] = {}
    for report, place, outcome, at in zip(
        batch.reports, places, outcomes, batch.times, strict=True
    ):
        if place is None:
            continue
        delta = deltas.get(place)
        if delta is None:
            delta = deltas[place] = writing.Delta(first=at, last=at)
        elif at < delta.first:
            delta.first = at
        elif at > delta.last:
            delta.last = at
        delta.alerts += 1
        if report.cost_delta_cents is not None:
            delta.cost += Decimal(report.cost_delta_cents)
        if report.call_id is None:
            continue
        if outcome == Outcome.OVERFLOWED:
            overflowed.setdefault(place, set()).add(report.call_id)
        else:
            delta.calls += 1
    for place, calls in overflowed.items():
        # Many triggers meet here, and one call may have failed under several of them.
        counted = known_overflow_calls(batch.tenant_id, place.id, sorted(calls))
        deltas[place].calls = len(calls - counted)
    return deltas


def _threshold(severity: int) -> int:
    return next(calls for calls, level in facts.ESCALATION if level == severity)
