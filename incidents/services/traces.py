"""Replaces the trace store: what a run did, step by step, its contents with their hashes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final
from uuid import UUID

from config import clock
from config.database import planner
from config.database.columns import Columns, microseconds
from config.database.statements import run
from config.errors import FieldError, Invalid
from config.tenancy import scope
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.errors import TraceKept, TraceNotFound
from incidents.models import IncidentRun, Step, Trace
from incidents.services import runs

MAX_STEPS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """A step as the platform tells it; ``cost_cents`` in cents, ``duration_ms`` milliseconds."""

    step_index: int
    timestamp: datetime
    step_type: str
    agent_id: str | None = None
    tokens: int | None = None
    cost_cents: Decimal | None = None
    duration_ms: int | None = None
    status: str | None = None
    content: str | None = None

    @property
    def sha256(self) -> str | None:
        return None if self.content is None else sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """A run's trace; ``created`` is false when it had one."""

    trace: Trace
    created: bool


# What two tellings of a step are compared by: its hash stands for its content.
_COMPARED: Final = (
    "step_index",
    "timestamp",
    "step_type",
    "agent_id",
    "tokens",
    "cost_cents",
    "duration_ms",
    "status",
    "sha256",
)
_Told = tuple[object, ...]


def store(
    *,
    tenant: Tenant,
    run_id: str,
    trace_id: str,
    steps: Sequence[StepFacts],
    violation_step_index: int | None = None,
    violation_timestamp: datetime | None = None,
) -> Stored:
    """Makes this the run's whole trace.

    Once an incident points to the run, steps can be added but none changed or removed, nor what
    the trace says of itself, unless it was silent: TraceKept. Invalid when a step stands twice,
    or the violation is in none of them.
    """
    _check(steps, violation_step_index)
    with scope.tenant(tenant.pk):
        at = clock.now()
        # The run's lock keeps incidents from linking to it meanwhile.
        runs.ensure(tenant=tenant, run_id=run_id, at=at)
        told: dict[int, _Told] = {
            step.step_index: tuple(getattr(step, name) for name in _COMPARED) for step in steps
        }
        incident_id = (
            IncidentRun.objects.for_tenant(tenant)
            .filter(run_id=run_id)
            .order_by("created_at", "incident_id")
            .values_list("incident_id", flat=True)
            .first()
        )
        trace: Trace | None = Trace.objects.for_tenant(tenant).filter(run_id=run_id).first()
        created = trace is None
        if trace is None:
            trace = Trace.objects.create(
                tenant=tenant,
                run_id=run_id,
                trace_id=trace_id,
                violation_step_index=violation_step_index,
                violation_timestamp=violation_timestamp,
                incident_id=incident_id,
                created_at=at,
                updated_at=at,
            )
            known: dict[int, _Told] = {}
        else:
            known = {row[0]: row for row in _steps(trace).values_list(*_COMPARED)}
            gone = [index for index, row in known.items() if told.get(index) != row]
            says = {
                "trace_id": trace_id,
                "violation_step_index": violation_step_index,
                "violation_timestamp": violation_timestamp,
            }
            if incident_id is not None:
                _check_kept(trace, says, gone)
            if gone:
                _steps(trace).filter(step_index__in=gone).delete()
            if known != told or any(getattr(trace, name) != value for name, value in says.items()):
                for name, value in says.items():
                    setattr(trace, name, value)
                trace.updated_at = at
                trace.save(update_fields=[*says, "updated_at"])
            known = {index: row for index, row in known.items() if index not in set(gone)}
        insert(tenant.pk, [(trace.pk, step) for step in steps if step.step_index not in known])
    return Stored(trace, created)


def get(*, tenant: Tenant, run_id: str) -> Trace:
    """The trace of a run; RunNotFound, or TraceNotFound when it has none."""
    runs.get(tenant=tenant, run_id=run_id)
    trace: Trace | None = Trace.objects.for_tenant(tenant).filter(run_id=run_id).first()
    if trace is None:
        raise TraceNotFound
    return trace


def steps(*, trace: Trace) -> list[Step]:
    """The steps of a trace, in order, with their contents."""
    return list(_steps(trace).order_by("step_index"))


def _steps(trace: Trace) -> TenantScopedQuerySet:
    return Step.objects.for_tenant(trace.tenant_id).filter(trace_id=trace.pk)


def _check(steps: Sequence[StepFacts], violation_step_index: int | None) -> None:
    errors = []
    seen: set[int] = set()
    for place, step in enumerate(steps):
        if step.step_index in seen:
            errors.append(FieldError(f"/steps/{place}/step_index", "stands twice in the trace"))
        seen.add(step.step_index)
    if violation_step_index is not None and violation_step_index not in seen:
        errors.append(FieldError("/violation_step_index", "is the index of no step"))
    if errors:
        raise Invalid(errors)


def _check_kept(trace: Trace, says: Mapping[str, object], gone: Sequence[int]) -> None:
    if gone:
        raise TraceKept(
            f"An incident points to the run: step {gone[0]} can be neither changed nor removed."
        )
    for name, value in says.items():
        if getattr(trace, name) not in (None, value):
            raise TraceKept(f"An incident points to the run: {name} cannot be changed.")


def insert(tenant_id: str, steps: Sequence[tuple[UUID, StepFacts]]) -> None:
    """Adds steps, each to the trace with the id before it, whose run the caller has locked."""
    if not steps:
        return
    facts = [step for _, step in steps]
    rows = Columns("incidents_step", len(steps))
    rows.constant("tenant_id", "text", tenant_id)
    rows.add("trace_id", "uuid", [trace_id.bytes for trace_id, _ in steps])
    rows.add("step_index", "bigint", [step.step_index for step in facts])
    rows.add("timestamp", "timestamptz", [microseconds(step.timestamp) for step in facts])
    for name in ("step_type", "agent_id", "status", "content", "sha256"):
        rows.add(name, "text", [getattr(step, name) for step in facts])
    for name in ("tokens", "duration_ms"):
        # As text: a column of integers may have nulls.
        values = [getattr(step, name) for step in facts]
        rows.add(name, "numeric", [None if v is None else str(v) for v in values])
    costs = [step.cost_cents for step in facts]
    rows.add("cost_cents", "numeric", [None if c is None else str(c) for c in costs])
    run(*rows.insert())
    planner.inform_once_committed()
