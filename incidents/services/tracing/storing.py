"""Writing what spans became, a statement for each table, whatever their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

from config import clock
from config.actors import Actor
from config.api.strictjson import MAX_INTEGER
from config.database import arrays
from config.database.columns import Columns, microseconds
from config.database.statements import run
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import Outcome, RunStatus
from incidents.models import Failure
from incidents.senders import genai
from incidents.services import aggregation, door, failures, traces
from incidents.services.failures import Failing
from incidents.services.traces import MAX_STEPS
from incidents.services.tracing.pieces import Piece, agent_of, alert_of, failing_of, step_of

TOO_MANY_STEPS: Final = f"a trace has at most {MAX_STEPS:,} steps"
_ATTEMPTS: Final = 5


@dataclass(slots=True)
class _Arrived:
    """What came of one trace: the pieces of a request, and what the database knows of it."""

    pieces: list[Piece] = field(default_factory=list)
    trace_id: UUID | None = None
    steps: int = 0


def store(*, tenant: Tenant, by: Actor, pieces: Sequence[Piece]) -> int:
    """Stores all pieces or none; how many were too many for their trace.

    Requests that hold spans of the same traces may meet in another order than they lock in:
    whoever the database sends away begins again, as nothing of it was kept.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with scope.tenant(tenant.pk, plan_once=True):
                return _store_once(tenant, by, pieces, at=clock.now())
        except OperationalError as error:
            is_deadlock = isinstance(error.__cause__, DeadlockDetected)
            if not is_deadlock or attempt == _ATTEMPTS or connection.in_atomic_block:
                raise
    raise AssertionError("the last attempt returns or raises")  # pragma: no cover


def _store_once(tenant: Tenant, by: Actor, pieces: Sequence[Piece], *, at: datetime) -> int:
    # First what goes through the door, so that its locks come before the runs' (see there).
    failing = [failing_of(piece) for piece in pieces if piece.is_failed_root]
    reports = [failures.report_of(one) for one in failing]
    reports += [alert_of(piece) for piece in pieces if piece.trouble and not piece.is_failed_root]
    absorbed = None
    if reports:
        absorbed = aggregation.absorb(tenant=tenant, alerts=reports, via=by.via)
    arrived: dict[str, _Arrived] = {}
    for piece in pieces:
        arrived.setdefault(piece.span.trace_id, _Arrived()).pieces.append(piece)
    arrived = dict(sorted(arrived.items()))
    ended = _hold_runs(tenant.pk, list(arrived), at=at)
    if absorbed is not None and failing:
        _keep_failures(tenant, by, failing, absorbed, at=at)
    _find_traces(tenant.pk, arrived, at=at)
    fresh = _fresh(tenant.pk, arrived)
    stored, left_out = _number(arrived, fresh)
    _write_steps(tenant.pk, stored, at=at)
    _end_runs(tenant.pk, arrived, ended, stored, at=at)
    return left_out


_MAKE_RUNS: Final = f"""
INSERT INTO incidents_run (id, tenant_id, run_id, status, incident_count, created_at)
SELECT u.id, %s, u.run_id, '{RunStatus.RUNNING}', 0, %s
FROM unnest(%s::uuid[], %s::text[]) AS u(id, run_id)
ON CONFLICT (tenant_id, run_id) DO NOTHING
"""  # noqa: S608 - only our own constants are interpolated
_HOLD_RUNS: Final = """
SELECT run_id FROM incidents_run WHERE tenant_id = %s AND run_id = ANY(%s::text[])
    AND completion IS NOT NULL
"""


def _hold_runs(tenant_id: str, run_ids: Sequence[str], *, at: datetime) -> set[str]:
    """Makes the runs that nothing has named and locks all; those that have ended."""
    ids = arrays.sequential_uuids(clock.uuid7().bytes, len(run_ids))
    names = arrays.texts(run_ids)
    run(_MAKE_RUNS, [tenant_id, at, ids, names])
    run(
        "SELECT FROM incidents_run WHERE tenant_id = %s AND run_id = ANY(%s::text[]) "
        "ORDER BY run_id FOR NO KEY UPDATE",
        [tenant_id, names],
    )
    # Asked for once all locks are had: the rows that were waited for may have changed meanwhile.
    return {run_id for (run_id,) in run(_HOLD_RUNS, [tenant_id, names])}


def _keep_failures(
    tenant: Tenant,
    by: Actor,
    failing: Sequence[Failing],
    absorbed: aggregation.Absorbed,
    *,
    at: datetime,
) -> None:
    known = set(
        Failure.objects.for_tenant(tenant)
        .filter(run_id__in={one.run_id for one in failing})
        .values_list("run_id", "request_id")
    )
    for one, outcome, id_ in zip(failing, absorbed.outcomes, absorbed.incident_ids, strict=False):
        if (one.run_id, one.request_id) in known:
            continue
        known.add((one.run_id, one.request_id))
        incident = None if id_ is None else absorbed.incidents[id_]
        reported = door.Reported(Outcome(outcome), incident)
        failures.keep(tenant=tenant, by=by, failing=one, reported=reported, at=at)


_MAKE_TRACES: Final = """
INSERT INTO incidents_trace (id, tenant_id, run_id, trace_id, incident_id, created_at, updated_at)
SELECT u.id, %s, u.run_id, u.run_id, (
    SELECT l.incident_id FROM incidents_incidentrun l
    WHERE l.tenant_id = %s AND l.run_id = u.run_id
    ORDER BY l.created_at, l.incident_id LIMIT 1
), %s, %s
FROM unnest(%s::uuid[], %s::text[]) AS u(id, run_id)
ON CONFLICT (tenant_id, run_id) DO NOTHING
"""
_FIND_TRACES: Final = """
SELECT t.run_id, t.id, coalesce((
    SELECT s.step_index + 1 FROM incidents_step s WHERE s.trace_id = t.id
    ORDER BY s.step_index DESC LIMIT 1
), 0)
FROM incidents_trace t WHERE t.tenant_id = %s AND t.run_id = ANY(%s::text[])
"""


def _find_traces(tenant_id: str, arrived: Mapping[str, _Arrived], *, at: datetime) -> None:
    names = arrays.texts(list(arrived))
    ids = arrays.sequential_uuids(clock.uuid7().bytes, len(arrived))
    run(_MAKE_TRACES, [tenant_id, tenant_id, at, at, ids, names])
    for run_id, id_, steps in run(_FIND_TRACES, [tenant_id, names]):
        arrived[run_id].trace_id, arrived[run_id].steps = id_, steps


_KNOWN: Final = """
SELECT s.trace_id, s.span_id FROM unnest(%s::uuid[], %s::bigint[]) AS u(trace_id, span_id)
JOIN incidents_spanstep s ON s.trace_id = u.trace_id AND s.span_id = u.span_id
WHERE s.tenant_id = %s
"""


def _fresh(tenant_id: str, arrived: Mapping[str, _Arrived]) -> dict[str, list[Piece]]:
    """Of every trace the pieces that are not known yet, each span once, as they began."""
    asked = [
        (one.trace_id, _signed(piece.span.span_id))
        for one in arrived.values()
        for piece in one.pieces
        if one.trace_id is not None and one.steps
    ]
    known: set[tuple[UUID | None, int]] = set()
    if asked:
        traces_asked = arrays.uuids([id_.bytes for id_, _ in asked])
        spans_asked = arrays.bigints([span_id for _, span_id in asked])
        known = {(id_, span) for id_, span in run(_KNOWN, [traces_asked, spans_asked, tenant_id])}
    fresh: dict[str, list[Piece]] = {}
    for run_id, one in arrived.items():
        unknown: dict[int, Piece] = {}
        for piece in one.pieces:
            span_id = _signed(piece.span.span_id)
            if (one.trace_id, span_id) not in known:
                unknown.setdefault(span_id, piece)
        # A span before those that it holds, which began no sooner and ended no later.
        fresh[run_id] = sorted(
            unknown.values(),
            key=lambda piece: (piece.span.started_at, -piece.span.duration_ms),
        )
    return fresh


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A piece with its place among the steps of its trace."""

    piece: Piece
    trace_id: UUID
    step_index: int


def _number(
    arrived: Mapping[str, _Arrived], fresh: Mapping[str, Sequence[Piece]]
) -> tuple[list[_Numbered], int]:
    numbered, left_out = [], 0
    for run_id, pieces in fresh.items():
        one = arrived[run_id]
        assert one.trace_id is not None  # noqa: S101 - every trace was found or made
        room = max(0, MAX_STEPS - one.steps)
        left_out += max(0, len(pieces) - room)
        numbered += [
            _Numbered(piece, one.trace_id, index)
            for index, piece in enumerate(pieces[:room], start=one.steps)
        ]
    return numbered, left_out


def _write_steps(tenant_id: str, numbered: Sequence[_Numbered], *, at: datetime) -> None:
    if not numbered:
        return
    traces.insert(
        tenant_id,
        [(one.trace_id, step_of(one.piece, one.step_index)) for one in numbered],
    )
    rows = Columns("incidents_spanstep", len(numbered))
    rows.constant("tenant_id", "text", tenant_id)
    rows.add("trace_id", "uuid", [one.trace_id.bytes for one in numbered])
    rows.add("span_id", "bigint", [_signed(one.piece.span.span_id) for one in numbered])
    rows.add("step_index", "bigint", [one.step_index for one in numbered])
    run(*rows.insert())
    run(
        # Those that were made just now say so already.
        "UPDATE incidents_trace SET updated_at = %s "
        "WHERE tenant_id = %s AND id = ANY(%s::uuid[]) AND updated_at < %s",
        [at, tenant_id, arrays.uuids(sorted({one.trace_id.bytes for one in numbered})), at],
    )


# What a run's totals can hold; sums beyond are no numbers that anybody measured.
_TOO_DEAR: Final = 10**12
# Only what models were asked for is summed up: the spans around it may repeat it. A root's own
# numbers stand in where there is no such step.
_END_RUNS: Final = f"""
UPDATE incidents_run r SET
    agent_id = CASE WHEN r.announced_at IS NULL THEN coalesce(u.agent_id, r.agent_id)
        ELSE coalesce(r.agent_id, u.agent_id) END,
    goal = coalesce(r.goal, u.goal),
    started_at = coalesce(r.started_at, u.started_at),
    announced_at = coalesce(r.announced_at, %s),
    completed_at = u.completed_at,
    status = CASE WHEN r.status = '{RunStatus.FAILED}' THEN r.status ELSE u.status END,
    completion = CASE WHEN r.status = '{RunStatus.FAILED}' THEN r.status ELSE u.status END,
    termination_reason = u.termination_reason,
    error = u.error,
    total_tokens = coalesce(s.tokens, u.tokens::bigint),
    total_cost_cents = coalesce(s.cost_cents, u.cost_cents::numeric)
FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS u(run_id, trace_id, agent_id, goal, started_at, completed_at, status, termination_reason,
        error, tokens, cost_cents)
CROSS JOIN LATERAL (
    SELECT CASE WHEN sum(s.tokens) <= {MAX_INTEGER} THEN sum(s.tokens) END AS tokens,
        CASE WHEN sum(s.cost_cents) < {_TOO_DEAR} THEN sum(s.cost_cents) END AS cost_cents
    FROM incidents_step s
    WHERE s.trace_id = u.trace_id AND s.step_type = ANY(%s)
) s
WHERE r.tenant_id = %s AND r.run_id = u.run_id AND r.completion IS NULL
"""  # noqa: S608 - only our own constants are interpolated
_ADD_TO_RUNS: Final = f"""
UPDATE incidents_run r SET
    total_tokens = CASE WHEN coalesce(r.total_tokens, 0) + u.tokens <= {MAX_INTEGER}
        THEN coalesce(r.total_tokens, 0) + u.tokens ELSE r.total_tokens END,
    total_cost_cents = CASE WHEN coalesce(r.total_cost_cents, 0) + u.cost_cents < {_TOO_DEAR}
        THEN coalesce(r.total_cost_cents, 0) + u.cost_cents ELSE r.total_cost_cents END
FROM (
    SELECT run_id, tokens::numeric AS tokens, cost_cents::numeric AS cost_cents
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS u(run_id, tokens, cost_cents)
) u
WHERE r.tenant_id = %s AND r.run_id = u.run_id
"""  # noqa: S608 - only our own constants are interpolated


def _end_runs(
    tenant_id: str,
    arrived: Mapping[str, _Arrived],
    ended: set[str],
    stored: Sequence[_Numbered],
    *,
    at: datetime,
) -> None:
    """Ends the runs whose roots came, and adds what came late to those that had ended."""
    roots: dict[str, Piece] = {}
    for run_id, one in arrived.items():
        if run_id in ended:
            continue
        candidates = [piece for piece in one.pieces if piece.is_root]
        if candidates:
            # One without a parent before one that only says that it is a root.
            roots[run_id] = min(
                candidates, key=lambda piece: (piece.span.parent_id != "", piece.span.started_at)
            )
    if roots:
        ids = [arrived[run_id].trace_id for run_id in roots]
        pieces = list(roots.values())
        run(
            _END_RUNS,
            [
                at,
                arrays.texts(list(roots)),
                arrays.uuids([id_.bytes if id_ else None for id_ in ids]),
                arrays.texts([agent_of(piece) for piece in pieces]),
                arrays.texts([piece.goal for piece in pieces]),
                arrays.timestamps([microseconds(piece.span.started_at) for piece in pieces]),
                arrays.timestamps([microseconds(piece.span.ended_at) for piece in pieces]),
                arrays.texts(
                    [RunStatus.FAILED if p.failure else RunStatus.SUCCEEDED for p in pieces]
                ),
                arrays.texts([p.failure.error_type if p.failure else None for p in pieces]),
                arrays.texts([p.failure.message if p.failure else None for p in pieces]),
                arrays.texts([_digits(piece.work.tokens) for piece in pieces]),
                arrays.texts([piece.work.cost_cents for piece in pieces]),
                sorted(genai.MODEL_CALLS),
                tenant_id,
            ],
        )
    late: dict[str, list[genai.Work]] = {}
    for piece in (one.piece for one in stored):
        if piece.span.trace_id in ended and piece.work.is_model_call:
            late.setdefault(piece.span.trace_id, []).append(piece.work)
    if late:
        tokens = [[w.tokens for w in works if w.tokens is not None] for works in late.values()]
        costs = [[w.cost_cents for w in works if w.cost_cents] for works in late.values()]
        run(
            _ADD_TO_RUNS,
            [
                arrays.texts(list(late)),
                arrays.texts([_digits(sum(one)) if one else None for one in tokens]),
                arrays.texts([str(sum(map(Decimal, one))) if one else None for one in costs]),
                tenant_id,
            ],
        )


def _digits(number: int | None) -> str | None:
    return None if number is None else str(number)


def _signed(span_id: str) -> int:
    return int.from_bytes(bytes.fromhex(span_id), signed=True)
