"""The one door: folding a batch of reports into incidents, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Final
from uuid import UUID

from django.db import transaction

from config import clock
from config.database.columns import Columns, microseconds
from config.tenancy.models import AggregationConfig, Tenant
from incidents import facts
from incidents.enums import EventType, Outcome, Severity
from incidents.models import Incident
from incidents.services.aggregation import writing
from incidents.services.aggregation.routing import Facts, Kind, OpeningNeeded, Router, distinct
from incidents.services.reports import AnyReport

_MAX_ATTEMPTS: Final = 100
_SECOND: Final = 1_000_000


@dataclass(slots=True)
class Absorbed:
    """What became of a batch.

    ``outcomes`` and ``incident_ids`` run parallel to the reports; ``incidents`` holds, by id and
    in the order of their first report, each incident that took one of them, as it was after the
    batch; ``counts`` adds the rejected ones, so that it sums to everything received.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    incident_ids: list[UUID | None] = field(default_factory=list)
    incidents: dict[UUID, Incident] = field(default_factory=dict)
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
    at = clock.now()
    if not alerts:
        counts = {Outcome.REJECTED: rejected}
        if rejected:
            writing.write_tally(tenant.pk, counts, at=at)
        return Absorbed(counts=counts)
    batch = _Batch(tenant, alerts, rejected, via, at)
    check_known = False
    for _ in range(_MAX_ATTEMPTS):
        try:
            with transaction.atomic():
                return batch.fold(check_known=check_known)
        except _PlanIsStale:
            check_known = True
    raise RuntimeError("aggregation did not settle")  # pragma: no cover


class _Batch:
    """One batch on its way through the door."""

    def __init__(
        self,
        tenant: Tenant,
        reports: Sequence[AnyReport],
        rejected: int,
        via: str,
        at: datetime,
    ) -> None:
        self._tenant_id: str = tenant.pk
        self._config: AggregationConfig = tenant.aggregation
        self._reports = reports
        self._rejected = rejected
        self._via = via
        self._at = at
        received = microseconds(at)
        self._times = [
            received if r.occurred_at is None else microseconds(r.occurred_at) for r in reports
        ]
        self._kinds: list[Kind] = [(r.trigger_type, r.group_key or "") for r in reports]
        self._keys = _keys(tenant.pk, reports)
        # The first place of each key: a repeat within the batch is a duplicate of it.
        self._first: dict[bytes, int] = {}
        for index, key in enumerate(self._keys):
            self._first.setdefault(key, index)

    def fold(self, *, check_known: bool) -> Absorbed:
        known: Mapping[bytes, UUID | None] = {}
        if check_known:
            known = writing.known_calls(self._tenant_id, list(self._first))
        if not known and len(self._first) == len(self._keys):
            fresh: Sequence[int] = range(len(self._keys))
        else:
            fresh = [index for key, index in self._first.items() if key not in known]
        return self._record(fresh, known)

    def _record(self, fresh: Sequence[int], known: Mapping[bytes, UUID | None]) -> Absorbed:
        everything = len(fresh) == len(self._reports)
        reports = self._reports if everything else [self._reports[i] for i in fresh]
        duplicates = len(self._reports) - len(fresh)
        if not reports:
            counts = {Outcome.DUPLICATE: duplicates, Outcome.REJECTED: self._rejected}
            writing.write_tally(self._tenant_id, counts, at=self._at)
            return self._answer(fresh, [], [], known, {}, counts)
        kinds = self._kinds if everything else [self._kinds[i] for i in fresh]
        times = self._times if everything else [self._times[i] for i in fresh]
        keys = self._keys if everything else [self._keys[i] for i in fresh]

        router, places, outcomes = self._route(reports, kinds, times)
        if router.opened:
            writing.insert_incidents(
                self._tenant_id,
                router.opened,
                via=self._via,
                limit=self._config.incidents_per_hour,
                at=self._at,
            )
        place_ids = [place.id for place in places]
        counts = {
            Outcome.OPENED: outcomes.count(Outcome.OPENED),
            Outcome.AGGREGATED: outcomes.count(Outcome.AGGREGATED),
            Outcome.OVERFLOWED: outcomes.count(Outcome.OVERFLOWED),
            Outcome.DUPLICATE: duplicates,
            Outcome.REJECTED: self._rejected,
        }
        touched = writing.write_alerts(
            _alert_columns(
                self._tenant_id, reports, kinds, times, keys, place_ids, outcomes, at=self._at
            ),
            tenant_id=self._tenant_id,
            expected=len(reports),
            deltas=_deltas(reports, times, place_ids, outcomes),
            counts=counts,
            at=self._at,
        )
        if touched is None:
            raise _PlanIsStale
        self._note_escalations(touched)
        self._link(reports, place_ids)
        incidents = {one.incident.pk: one.incident for one in touched}
        return self._answer(fresh, place_ids, outcomes, known, incidents, counts)

    def _route(
        self, reports: Sequence[AnyReport], kinds: Sequence[Kind], times: Sequence[int]
    ) -> tuple[Router, list[writing.Candidate], list[int]]:
        """Plans without the creation lock first; with it only if something has to be opened."""
        routing_facts = Facts(
            window=self._config.window_seconds * _SECOND,
            cooldown=self._config.cooldown_seconds * _SECOND,
            incidents_per_hour=self._config.incidents_per_hour,
        )
        for may_open in (False, True):
            if may_open:
                writing.lock_creation(self._tenant_id)
            state = writing.read_state(
                self._tenant_id,
                distinct(kinds),
                earliest=min(times),
                latest=max(times),
                window=routing_facts.window,
                cooldown=routing_facts.cooldown,
                may_open=may_open,
            )
            router = Router(facts=routing_facts, state=state, new_id=clock.uuid7)
            try:
                return router, *router.route(reports, kinds, times)
            except OpeningNeeded:
                continue
        raise AssertionError("a router that may open never asks to")  # pragma: no cover

    def _note_escalations(self, touched: Sequence[writing.Touched]) -> None:
        events = [
            (
                one.incident.pk,
                EventType.ESCALATED,
                f"Escalated from {Severity(level - 1).label} to {Severity(level).label}: "
                f"{_threshold(level)} calls affected.",
                {"from": Severity(level - 1).label, "to": Severity(level).label},
            )
            for one in touched
            for level in range(one.severity_before + 1, one.incident.severity + 1)
        ]
        if events:
            writing.insert_events(self._tenant_id, events, via=self._via, at=self._at)

    def _link(self, reports: Sequence[AnyReport], place_ids: Sequence[UUID]) -> None:
        runs: dict[str, str | None] = {}
        run_links: set[tuple[str, UUID]] = set()
        agent_links: set[tuple[str, UUID]] = set()
        for report, place in zip(reports, place_ids, strict=True):
            if report.run_id is not None:
                runs.setdefault(report.run_id, report.agent_id)
                run_links.add((report.run_id, place))
            if report.agent_id is not None:
                agent_links.add((report.agent_id, place))
        if runs or agent_links:
            writing.write_runs(self._tenant_id, runs, run_links, agent_links, at=self._at)

    def _answer(
        self,
        fresh: Sequence[int],
        place_ids: Sequence[UUID],
        outcomes: Sequence[int],
        known: Mapping[bytes, UUID | None],
        incidents: dict[UUID, Incident],
        counts: dict[Outcome, int],
    ) -> Absorbed:
        answer = Absorbed(counts=counts)
        recorded = dict(zip(fresh, zip(place_ids, outcomes, strict=True), strict=True))
        for index, key in enumerate(self._keys):
            if index in recorded:
                place, outcome = recorded[index]
                answer.outcomes.append(Outcome(outcome))
                answer.incident_ids.append(place)
                continue
            first = self._first[key]
            answer.outcomes.append(Outcome.DUPLICATE)
            answer.incident_ids.append(recorded[first][0] if first in recorded else known[key])
        mentioned = dict.fromkeys(id_ for id_ in answer.incident_ids if id_ is not None)
        missing = [id_ for id_ in mentioned if id_ not in incidents]
        if missing:
            incidents |= Incident.objects.in_bulk(missing)
        answer.incidents = {id_: incidents[id_] for id_ in mentioned}
        return answer


def _keys(tenant_id: str, reports: Sequence[AnyReport]) -> list[bytes]:
    """The deduplication key of every report: a digest, or random bytes without a call.

    The tenant and the trigger cannot hold a NUL, so the parts cannot run into each other.
    """
    prefixes: dict[str, bytes] = {}
    keys = []
    for report in reports:
        if report.call_id is None:
            keys.append(os.urandom(16))
            continue
        trigger = report.trigger_type
        prefix = prefixes.get(trigger)
        if prefix is None:
            prefix = prefixes[trigger] = f"{tenant_id}\0{trigger}\0".encode()
        keys.append(blake2b(prefix + report.call_id.encode(), digest_size=16).digest())
    return keys


def _deltas(
    reports: Sequence[AnyReport],
    times: Sequence[int],
    place_ids: Sequence[UUID],
    outcomes: Sequence[int],
) -> dict[UUID, writing.Delta]:
    """What each incident gains. Calls of an ordinary incident are distinct by their keys."""
    members: dict[UUID, list[int]] = {}
    for index, place in enumerate(place_ids):
        members.setdefault(place, []).append(index)
    deltas = {}
    for place, indexes in members.items():
        calls = [c for c in [reports[i].call_id for i in indexes] if c is not None]
        if outcomes[indexes[0]] == Outcome.OVERFLOWED:
            # Many triggers meet here, and one call may have failed under several of them.
            unique = set(calls)
            calls = list(unique - writing.known_overflow_calls(place, sorted(unique)))
        costs = [c for c in [reports[i].cost_delta_cents for i in indexes] if c is not None]
        spans = [times[i] for i in indexes]
        deltas[place] = writing.Delta(
            calls=len(calls),
            alerts=len(indexes),
            cost=sum(map(Decimal, costs), Decimal(0)),
            first=min(spans),
            last=max(spans),
        )
    return deltas


_TEXT_COLUMNS: Final = (
    "trigger_type",
    "trigger_value",
    "call_id",
    "run_id",
    "agent_id",
    "model",
    "error_code",
    "error_message",
    "category",
    "auto_action",
    "synthetic_scenario_id",
)


def _alert_columns(
    tenant_id: str,
    reports: Sequence[AnyReport],
    kinds: Sequence[Kind],
    times: Sequence[int],
    keys: Sequence[bytes],
    place_ids: Sequence[UUID],
    outcomes: Sequence[int],
    *,
    at: datetime,
) -> Columns:
    """The alerts as columns, in ascending order of their keys (see the locking order)."""
    count = len(reports)
    order = sorted(range(count), key=keys.__getitem__)
    columns = Columns("incidents_alert", count)
    columns.constant("tenant_id", "text", tenant_id)
    columns.constant("created_at", "timestamptz", microseconds(at))
    columns.add("key", "uuid", [keys[i] for i in order])
    ids = _sequential_ids(count)
    columns.add("id", "uuid", [ids[i] for i in order])
    columns.add("incident_id", "uuid", [place_ids[i].bytes for i in order])
    columns.add("outcome", "smallint", [outcomes[i] for i in order])
    columns.add("occurred_at", "timestamptz", [times[i] for i in order])
    columns.add("group_key", "text", [kinds[i][1] for i in order])
    ordered = [reports[i] for i in order]
    for name in _TEXT_COLUMNS:
        columns.add(name, "text", [getattr(report, name) for report in ordered])
    columns.add("cost_delta_cents", "numeric", [report.cost_delta_cents for report in ordered])
    columns.add("is_synthetic", "boolean", [bool(report.is_synthetic) for report in ordered])
    columns.add(
        "metadata",
        "jsonb",
        [bytes(r.metadata).decode() if r.metadata else None for r in ordered],
    )
    return columns


def _sequential_ids(count: int) -> list[bytes]:
    """UUIDv7 values that keep the order in which the reports came."""
    first = clock.uuid7().bytes
    head, low = first[:8], int.from_bytes(first[8:])
    return [head + (low + offset).to_bytes(8) for offset in range(count)]


def _threshold(severity: int) -> int:
    return next(calls for calls, level in facts.ESCALATION if level == severity)


