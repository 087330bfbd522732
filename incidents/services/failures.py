"""Replaces the LLM failure driver: a failed call, its evidence and its failed run, as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from config import clock
from config.actors import Actor
from config.api.values import format_timestamp
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents import facts
from incidents.enums import FailureType, Outcome, RunStatus, SourceType
from incidents.errors import FailureNotFound
from incidents.models import CostAnomaly, CostRecord, Failure, Incident, IncidentRun, Run
from incidents.services import door, evidence
from incidents.services.reports import Report

EVIDENCE_KIND = "failure"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A failure, and what became of this report of it; ``created`` is false for a repeat."""

    failure: Failure
    incident: Incident | None
    outcome: Outcome
    created: bool


@dataclass(frozen=True, slots=True)
class Contamination:
    """What else is recorded of a run that failed: how many of each."""

    cost_records: int
    cost_anomalies: int
    other_incidents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """That a call of a run failed, as it is told; ``duration_ms`` in milliseconds.

    The run and the request (or none) are the identity. Without ``captured`` the evidence is made
    of the other fields.
    """

    run_id: str
    failure_type: FailureType
    error_code: str
    occurred_at: datetime
    error_message: str | None = None
    model: str | None = None
    agent_id: str | None = None
    request_id: str | None = None
    duration_ms: int | None = None
    cost_cents: str | None = None
    metadata: Mapping[str, Any] | None = None
    captured: Mapping[str, Any] | None = None
    is_synthetic: bool | None = None
    synthetic_scenario_id: str | None = None


def record(
    *,
    tenant: Tenant,
    by: Actor,
    run_id: str,
    failure_type: FailureType,
    error_code: str,
    error_message: str | None = None,
    model: str | None = None,
    request_id: str | None = None,
    duration_ms: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    captured: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
) -> Recorded:
    """Records that a call of a run failed, captures the evidence, and marks the run failed.

    It is reported with the trigger ``llm_failure``, grouped by the error code. The failure is
    identified by the run and the request (or none): a repeat changes nothing. Without
    ``captured`` the evidence is made of the fields.
    """
    with scope.tenant(tenant.pk):
        if (known := _find(tenant, run_id, request_id)) is not None:
            return _repeated(tenant, known)
        at = clock.now()
        run_of_failure = Run.objects.for_tenant(tenant).filter(run_id=run_id).first()
        failing = Failing(
            run_id=run_id,
            failure_type=failure_type,
            error_code=error_code,
            error_message=error_message,
            model=model,
            agent_id=run_of_failure.agent_id if run_of_failure else None,
            request_id=request_id,
            duration_ms=duration_ms,
            metadata=metadata,
            captured=captured,
            occurred_at=occurred_at or at,
            is_synthetic=run_of_failure.is_synthetic if run_of_failure else None,
            synthetic_scenario_id=(
                run_of_failure.synthetic_scenario_id if run_of_failure else None
            ),
        )
        reported = door.send(tenant=tenant, report=report_of(failing), via=by.via)
        # A concurrent report of the same failure was first.
        if reported.outcome == Outcome.DUPLICATE:
            known = _find(tenant, run_id, request_id)
            if known is not None:
                return Recorded(known, known.incident, Outcome.DUPLICATE, created=False)
        failure = keep(tenant=tenant, by=by, failing=failing, reported=reported, at=at)
    return Recorded(failure, reported.incident, reported.outcome, created=True)


def report_of(failing: Failing) -> Report:
    """What a failure is reported as; for who takes several reports through the door together."""
    return Report(
        trigger_type=facts.TRIGGER_FAILURE,
        group_key=failing.error_code,
        call_id=_call_id(failing.run_id, failing.request_id),
        occurred_at=failing.occurred_at,
        cost_delta_cents=failing.cost_cents,
        run_id=failing.run_id,
        agent_id=failing.agent_id,
        model=failing.model,
        error_code=failing.error_code,
        error_message=failing.error_message,
        category=facts.category_of_error(failing.error_code),
        metadata=b"" if failing.metadata is None else msgspec.json.encode(failing.metadata),
        is_synthetic=failing.is_synthetic,
        synthetic_scenario_id=failing.synthetic_scenario_id,
        severity=facts.severity_of_error(failing.error_code),
        source_type=SourceType.FAILURE,
    )


def keep(
    *, tenant: Tenant, by: Actor, failing: Failing, reported: door.Reported, at: datetime
) -> Failure:
    """Records a failure that was reported and is not recorded yet, in the caller's transaction."""
    failure: Failure = Failure.objects.create(
        tenant=tenant,
        run_id=failing.run_id,
        request_id=failing.request_id,
        failure_type=failing.failure_type,
        error_code=failing.error_code,
        error_message=failing.error_message,
        category=facts.category_of_error(failing.error_code),
        severity=facts.severity_of_error(failing.error_code),
        model=failing.model,
        duration_ms=failing.duration_ms,
        metadata=failing.metadata,
        incident=reported.incident,
        outcome=reported.first,
        occurred_at=failing.occurred_at,
        created_at=at,
    )
    evidence.capture(
        tenant_id=tenant.pk,
        by=by,
        at=at,
        kind=EVIDENCE_KIND,
        data=_fields(failure) if failing.captured is None else failing.captured,
        incident_id=failure.incident_id,
        run_id=failing.run_id,
        failure_id=failure.pk,
    )
    Run.objects.for_tenant(tenant).filter(run_id=failing.run_id).update(status=RunStatus.FAILED)
    return failure


def latest(*, tenant: Tenant, run_id: str) -> Failure:
    """The latest failure of a run; FailureNotFound when it has none."""
    failure: Failure | None = (
        Failure.objects.for_tenant(tenant)
        .filter(run_id=run_id)
        .order_by("-occurred_at", "-id")
        .first()
    )
    if failure is None:
        raise FailureNotFound
    return failure


def contamination(*, tenant: Tenant, run_id: str) -> Contamination:
    """Costs, anomalies and incidents of exactly this run, besides those of its failures."""
    own = Failure.objects.for_tenant(tenant).filter(run_id=run_id, incident__isnull=False)
    others = (
        IncidentRun.objects.for_tenant(tenant)
        .filter(run_id=run_id)
        .exclude(incident_id__in=own.values("incident_id"))
    )
    return Contamination(
        cost_records=CostRecord.objects.for_tenant(tenant).filter(run_id=run_id).count(),
        cost_anomalies=CostAnomaly.objects.for_tenant(tenant).filter(run_id=run_id).count(),
        other_incidents=others.count(),
    )


def _call_id(run_id: str, request_id: str | None) -> str:
    # With the spaces, which no identifier of a caller's can have, it is like no call_id of an
    # alert, and the run and the request cannot run into each other.
    return f"run {run_id}" if request_id is None else f"run {run_id} request {request_id}"


def _find(tenant: Tenant, run_id: str, request_id: str | None) -> Failure | None:
    wanted = {"request_id__isnull": True} if request_id is None else {"request_id": request_id}
    failure: Failure | None = (
        Failure.objects.for_tenant(tenant)
        .filter(run_id=run_id, **wanted)
        .select_related("incident")
        .first()
    )
    return failure


def _repeated(tenant: Tenant, failure: Failure) -> Recorded:
    reported = door.repeat(tenant=tenant, incident=failure.incident)
    return Recorded(failure, reported.incident, reported.outcome, created=False)


def _fields(failure: Failure) -> dict[str, Any]:
    fields = {
        "run_id": failure.run_id,
        "request_id": failure.request_id,
        "failure_type": str(failure.failure_type),
        "error_code": failure.error_code,
        "error_message": failure.error_message,
        "model": failure.model,
        "duration_ms": failure.duration_ms,
        "metadata": failure.metadata,
        "occurred_at": format_timestamp(failure.occurred_at),
    }
    return {name: value for name, value in fields.items() if value is not None}
