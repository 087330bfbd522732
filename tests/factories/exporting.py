"""An incident with something of everything that a bundle tells, in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import Outcome, ResolutionMethod, ResolutionType, RunStatus, Severity
from incidents.models import (
    Evidence,
    Failure,
    Incident,
    PolicyRule,
    RuleRevision,
    Run,
    Step,
    Trace,
    Violation,
)
from incidents.models.evidence import canonical
from incidents.services import aggregation, lifecycle
from incidents.services.reports import Report
from lessons.models import Lesson

NOW = datetime(2026, 11, 16, 18, 15, 4, 250_000, tzinfo=UTC)
RUN = "recon-2026-11-16"
ADA = Actor(via="triage key", name="ada")
CONTENTS = ("Reconcile the invoices.", "GET ledger -> 412 rows", "118 invoices are unpaid.")


def opened(tenant: Tenant, *, calls: int = 12, runs: Sequence[str] = (RUN, "recon-b")) -> Incident:
    """An open incident of so many calls, a minute apart, whose alerts name these runs in turn."""
    reports: list[Any] = [
        Report(
            trigger_type="rate_limit",
            group_key="large-2",
            call_id=f"call-{number}",
            occurred_at=NOW + timedelta(seconds=20 * number),
            cost_delta_cents="1.75",
            run_id=runs[number % len(runs)] if runs else None,
            agent_id="planner",
            error_code="RATE_LIMIT_EXCEEDED",
            category="rate_limit",
        )
        for number in range(calls)
    ]
    with clock.pretend(NOW + timedelta(seconds=20 * calls)):
        absorbed = aggregation.absorb(tenant=tenant, alerts=reports, via="ingest key")
    (incident,) = absorbed.incidents.values()
    return incident


def resolved(incident: Incident, **how: Any) -> Incident:
    """Acknowledged by Ada after five minutes, resolved by her after an hour and a half."""
    with clock.pretend(NOW + timedelta(minutes=5)):
        lifecycle.acknowledge(incident=incident, by=ADA)
    with clock.pretend(NOW + timedelta(minutes=90)):
        return lifecycle.resolve(
            incident=incident,
            by=ADA,
            **{
                "method": ResolutionMethod.ROLLBACK,
                "type": ResolutionType.REAL,
                "summary": "The batch has its own quota.",
            }
            | how,
        )


def trace(
    incident: Incident, *, run_id: str = RUN, contents: Sequence[str | None] = CONTENTS
) -> Trace:
    """The trace of a run, whose steps hold these texts."""
    Run.objects.filter(tenant=incident.tenant_id, run_id=run_id).update(
        goal="Reconcile the October invoices.",
        agent_id="coder",
        status=RunStatus.FAILED,
        started_at=NOW - timedelta(seconds=30),
        completed_at=NOW,
        total_tokens=8_214,
        total_cost_cents="14.2210",
    )
    made = Trace.objects.create(
        tenant_id=incident.tenant_id,
        run_id=run_id,
        trace_id=f"trace-of-{run_id}",
        incident=incident,
        created_at=NOW,
        updated_at=NOW,
    )
    Step.objects.bulk_create(
        Step(
            tenant_id=incident.tenant_id,
            trace=made,
            step_index=index,
            timestamp=NOW + timedelta(seconds=index),
            step_type="tool",
            agent_id="reviewer",
            content=content,
            sha256=None if content is None else hashlib.sha256(content.encode()).hexdigest(),
        )
        for index, content in enumerate(contents)
    )
    return made


def findings(incident: Incident) -> None:
    """A failure, a violation and evidence of the failure."""
    common: Any = {
        "tenant_id": incident.tenant_id,
        "incident": incident,
        "run_id": RUN,
        "outcome": Outcome.AGGREGATED,
        "occurred_at": NOW,
        "created_at": NOW,
    }
    failure = Failure.objects.create(
        **common,
        failure_type="exception",
        error_code="RATE_LIMIT_EXCEEDED",
        error_message="429",
        category="rate_limit",
        severity=Severity.MEDIUM,
    )
    Violation.objects.create(
        **common, policy_id="retries", rule_id="max", severity=Severity.HIGH, reason="7 > 5"
    )
    evidence(incident, {"retry_after_s": 30.5, "text": "häßlich"}, failure=failure)


def evidence(incident: Incident, data: Any, **fields: Any) -> Evidence:
    return Evidence.objects.create(
        tenant_id=incident.tenant_id,
        incident=incident,
        run_id=RUN,
        kind="llm_failure",
        data=data,
        sha256=hashlib.sha256(canonical(data)).hexdigest(),
        via="ingest key",
        created_at=NOW,
        **fields,
    )


def rule(tenant: Tenant, *revisions: tuple[timedelta, dict[str, Any]]) -> PolicyRule:
    """A rule on rate limits with these revisions, each so long after the incident's start."""
    says: dict[str, Any] = {
        "name": "Quota of large-2",
        "mode": "shadow",
        "is_active": True,
        "trigger_type": "rate_limit",
    }
    made = PolicyRule.objects.create(
        tenant=tenant, created_at=NOW, updated_at=NOW, revision=len(revisions), **says
    )
    for number, (after, changes) in enumerate(revisions, start=1):
        says |= changes
        RuleRevision.objects.create(
            tenant=tenant,
            rule=made,
            number=number,
            via="admin key",
            created_at=NOW + after,
            **says,
        )
    return made


def lesson(incident: Incident, **fields: Any) -> Lesson:
    return Lesson.objects.create(
        **{
            "tenant_id": incident.tenant_id,
            "incident": incident,
            "lesson_type": "failure",
            "source": f"incident:{incident.pk}",
            "title": "Give batch work its own quota",
            "description": "It shared one.",
            "created_at": NOW,
        }
        | fields
    )


def everything(tenant: Tenant) -> Incident:
    """A resolved incident with all of the above."""
    incident = opened(tenant)
    trace(incident)
    findings(incident)
    rule(tenant, (timedelta(days=-9), {}))
    lesson(incident)
    return resolved(incident)
