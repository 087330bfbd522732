"""Replaces the cost half of the incident writes: cost records, and anomalies that may burn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from config import clock
from config.actors import Actor
from config.api.values import format_money
from config.database.statements import run
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents import facts
from incidents.enums import CauseType, Outcome, Severity, SourceType
from incidents.models import CostAnomaly, CostRecord, Incident
from incidents.services import door
from incidents.services.aggregation import linking
from incidents.services.reports import Report

# Anomalies of at least this severity are reported; others are only recorded.
REPORTED_FROM: Final = Severity.HIGH


@dataclass(frozen=True, slots=True)
class Recorded:
    """A cost record; ``created`` is false for a repeat."""

    record: CostRecord
    created: bool


@dataclass(frozen=True, slots=True)
class RecordedAnomaly:
    """An anomaly, and what became of this report of it; no outcome when it is not reported."""

    anomaly: CostAnomaly
    incident: Incident | None
    outcome: Outcome | None
    created: bool


_INSERT: Final = """
INSERT INTO incidents_costrecord
    (id, tenant_id, request_id, run_id, model, tokens, cost_cents, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, request_id) DO NOTHING RETURNING id
"""


def record(
    *,
    tenant: Tenant,
    request_id: str,
    cost_cents: Decimal,
    run_id: str | None = None,
    model: str | None = None,
    tokens: int | None = None,
) -> Recorded:
    """Records what a request cost, in cents; a repeat changes nothing."""
    with scope.tenant(tenant.pk):
        at = clock.now()
        inserted = run(
            _INSERT,
            [clock.uuid7(), tenant.pk, request_id, run_id, model, tokens, cost_cents, at],
        )
        if inserted and run_id is not None:
            linking.write_runs(tenant.pk, {run_id: None}, set(), set(), at=at)
        kept = CostRecord.objects.for_tenant(tenant).get(request_id=request_id)
    return Recorded(kept, created=bool(inserted))


_INSERT_ANOMALY: Final = """
INSERT INTO incidents_costanomaly
    (id, tenant_id, anomaly_id, kind, severity, cost_delta_cents, title, description, run_id,
        agent_id, incident_id, outcome, detected_at, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, anomaly_id) DO NOTHING RETURNING id
"""


class _Raced(Exception):
    """A concurrent report of the same anomaly was first."""


def record_anomaly(
    *,
    tenant: Tenant,
    by: Actor,
    anomaly_id: str,
    kind: str,
    severity: Severity,
    cost_delta_cents: Decimal,
    title: str | None = None,
    run_id: str | None = None,
    agent_id: str | None = None,
    description: str | None = None,
    detected_at: datetime | None = None,
) -> RecordedAnomaly:
    """Records a cost anomaly; one of high or critical severity is also reported.

    It is reported with the trigger of its kind, grouped by the agent, of cause system. A repeat
    changes nothing.
    """
    at = clock.now()
    anomaly = CostAnomaly(
        tenant=tenant,
        anomaly_id=anomaly_id,
        kind=kind,
        severity=severity,
        cost_delta_cents=cost_delta_cents,
        title=title,
        description=description,
        run_id=run_id,
        agent_id=agent_id,
        detected_at=detected_at or at,
        created_at=at,
    )
    while True:
        try:
            with scope.tenant(tenant.pk):
                known = _find(tenant, anomaly_id)
                return _repeated(tenant, known) if known else _record(tenant, anomaly, via=by.via)
        except _Raced:
            continue


def _record(tenant: Tenant, anomaly: CostAnomaly, *, via: str) -> RecordedAnomaly:
    reported = None
    if anomaly.severity >= REPORTED_FROM:
        reported = door.send(tenant=tenant, report=_report(anomaly), via=via)
    elif anomaly.run_id is not None:
        linking.write_runs(
            tenant.pk, {anomaly.run_id: anomaly.agent_id}, set(), set(), at=anomaly.created_at
        )
    inserted = run(
        _INSERT_ANOMALY,
        [
            anomaly.pk,
            tenant.pk,
            anomaly.anomaly_id,
            anomaly.kind,
            int(anomaly.severity),
            anomaly.cost_delta_cents,
            anomaly.title,
            anomaly.description,
            anomaly.run_id,
            anomaly.agent_id,
            reported.incident.pk if reported and reported.incident else None,
            int(reported.first) if reported else None,
            anomaly.detected_at,
            anomaly.created_at,
        ],
    )
    if not inserted:
        raise _Raced
    kept = CostAnomaly.objects.select_related("incident").get(pk=anomaly.pk)
    if reported is None:
        return RecordedAnomaly(kept, None, None, created=True)
    return RecordedAnomaly(kept, reported.incident, reported.outcome, created=True)


def _report(anomaly: CostAnomaly) -> Report:
    return Report(
        trigger_type=facts.trigger_of_anomaly(anomaly.kind),
        trigger_value=anomaly.kind,
        group_key=anomaly.agent_id,
        # No identifier has a space: no alert of a caller's is this call.
        call_id=f"anomaly {anomaly.anomaly_id}",
        occurred_at=anomaly.detected_at,
        cost_delta_cents=format_money(anomaly.cost_delta_cents),
        run_id=anomaly.run_id,
        agent_id=anomaly.agent_id,
        category=facts.CATEGORY_OF_ANOMALY,
        severity=Severity(anomaly.severity),
        title=anomaly.title,
        description=anomaly.description or "",
        cause_type=CauseType.SYSTEM,
        source_type=SourceType.COST_ANOMALY,
    )


def _repeated(tenant: Tenant, known: CostAnomaly) -> RecordedAnomaly:
    if known.outcome is None:
        return RecordedAnomaly(known, None, None, created=False)
    reported = door.repeat(tenant=tenant, incident=known.incident)
    return RecordedAnomaly(known, reported.incident, reported.outcome, created=False)


def _find(tenant: Tenant, anomaly_id: str) -> CostAnomaly | None:
    anomaly: CostAnomaly | None = (
        CostAnomaly.objects.for_tenant(tenant)
        .filter(anomaly_id=anomaly_id)
        .select_related("incident")
        .first()
    )
    return anomaly
