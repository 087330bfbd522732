"""Replaces the run half of the incident writes: announcing and ending a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from config import clock
from config.database.statements import run
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import RunStatus
from incidents.errors import RunEnded, RunNotFound
from incidents.models import Run

# The status a platform may end a run with.
ENDINGS: Final = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.HALTED, RunStatus.ABORTED)


@dataclass(frozen=True, slots=True)
class Announced:
    """A run; ``created`` is false when a report or an earlier announcement had made it."""

    run: Run
    created: bool


_ANNOUNCED: Final = (
    "agent_id",
    "goal",
    "started_at",
    "policy_snapshot_id",
    "is_synthetic",
    "synthetic_scenario_id",
)
_ANNOUNCE: Final = f"""
INSERT INTO incidents_run AS r
    (id, tenant_id, run_id, status, incident_count, created_at, announced_at,
    {", ".join(_ANNOUNCED)})
VALUES (%s, %s, %s, '{RunStatus.RUNNING}', 0, %s, %s, {", ".join(["%s"] * len(_ANNOUNCED))})
ON CONFLICT (tenant_id, run_id) DO UPDATE SET announced_at = excluded.announced_at,
    {", ".join(f"{name} = COALESCE(r.{name}, excluded.{name})" for name in _ANNOUNCED)}
WHERE r.announced_at IS NULL
RETURNING xmax = 0
"""  # noqa: S608 - only our own constants are interpolated


def announce(
    *,
    tenant: Tenant,
    run_id: str,
    agent_id: str | None = None,
    goal: str | None = None,
    started_at: datetime | None = None,
    policy_snapshot_id: str | None = None,
    is_synthetic: bool | None = None,
    synthetic_scenario_id: str | None = None,
) -> Announced:
    """Makes a run known. Of one that only reports have named it fills the blanks, once."""
    at = clock.now()
    with scope.tenant(tenant.pk):
        rows = run(
            _ANNOUNCE,
            [
                clock.uuid7(),
                tenant.pk,
                run_id,
                at,
                at,
                agent_id,
                goal,
                started_at,
                policy_snapshot_id,
                is_synthetic,
                synthetic_scenario_id,
            ],
        )
        return Announced(get(tenant=tenant, run_id=run_id), created=bool(rows and rows[0][0]))


def complete(
    *,
    tenant: Tenant,
    run_id: str,
    status: RunStatus,
    completed_at: datetime | None = None,
    termination_reason: str | None = None,
    error: str | None = None,
    total_tokens: int | None = None,
    total_cost_cents: Decimal | None = None,
) -> Run:
    """Ends a run, once; the same ending again changes nothing, another one raises RunEnded.

    A run that a failure marked failed can only end as failed.
    """
    given: dict[str, Any] = {
        "completed_at": completed_at,
        "termination_reason": termination_reason,
        "error": error,
        "total_tokens": total_tokens,
        "total_cost_cents": total_cost_cents,
    }
    given = {name: value for name, value in given.items() if value is not None}
    with scope.tenant(tenant.pk):
        at = clock.now()
        ended = ensure(tenant=tenant, run_id=run_id, at=at)
        if ended.completion is not None:
            if ended.completion == status and all(
                getattr(ended, name) == value for name, value in given.items()
            ):
                return ended
            raise RunEnded(f"The run has ended as {ended.completion}, differently.")
        if ended.status not in (RunStatus.RUNNING, status):
            raise RunEnded(f"The run is {ended.status} and cannot end as {status}.")
        changes = {"completed_at": at, **given, "status": status, "completion": status}
        Run.objects.filter(pk=ended.pk).update(**changes)
        return get(tenant=tenant, run_id=run_id)


def get(*, tenant: Tenant, run_id: str) -> Run:
    """One run of the tenant; RunNotFound when nothing has named it."""
    found: Run | None = Run.objects.for_tenant(tenant).filter(run_id=run_id).first()
    if found is None:
        raise RunNotFound
    return found


_ENSURE: Final = f"""
INSERT INTO incidents_run (id, tenant_id, run_id, status, incident_count, created_at)
VALUES (%s, %s, %s, '{RunStatus.RUNNING}', 0, %s)
ON CONFLICT (tenant_id, run_id) DO NOTHING
"""  # noqa: S608 - only our own constants are interpolated


def ensure(*, tenant: Tenant, run_id: str, at: datetime) -> Run:
    """The run, locked until the transaction ends; made now when nothing has named it before."""
    run(_ENSURE, [clock.uuid7(), tenant.pk, run_id, at])
    locked: Run = Run.objects.for_tenant(tenant).select_for_update(no_key=True).get(run_id=run_id)
    return locked
