"""Reading every section of a bundle in one go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from config import clock
from exports.services import attestation
from exports.services.assembly import findings, limits, recurrences, runs, story, traffic
from exports.services.assembly.runs import Told
from exports.services.assembly.traffic import Traffic
from exports.services.assembly.values import moment, money
from exports.services.documents import AttestedCheck, Selection
from exports.services.wording import cents, count
from incidents.errors import IncidentNotFound
from incidents.models import Incident


@dataclass(frozen=True, slots=True)
class Gathered:
    """The sections of a bundle by name, when they were read, and what was checked of them."""

    at: datetime
    sections: dict[str, Any]
    checks: list[AttestedCheck]


def gather(
    incident: Incident, *, raw_steps: bool, period: tuple[datetime, datetime] | None = None
) -> Gathered:
    """The facts of the incident as they all stood at one moment.

    Nothing adds an alert or changes the state of an incident whose row is locked. The lock is
    taken in a savepoint that is rolled back, which lets go of it as soon as all is read: alerts
    wait for the reading, never for the sealing. Raises IncidentNotFound and BundleTooLarge.
    """
    with transaction.atomic():
        found = (
            Incident.objects.select_for_update(no_key=True)
            .filter(tenant_id=incident.tenant_id, pk=incident.pk)
            .first()
        )
        if found is None:
            raise IncidentNotFound
        gathered = _read(found, at=clock.now(), raw_steps=raw_steps, period=period)
        transaction.set_rollback(True)
    return gathered


def _read(
    incident: Incident,
    *,
    at: datetime,
    raw_steps: bool,
    period: tuple[datetime, datetime] | None,
) -> Gathered:
    events = story.events(incident)
    flow = traffic.measure(incident)
    told = runs.tell(incident, raw_steps=raw_steps)
    failures = findings.failures(incident)
    violations = findings.violations(incident)
    evidence, intact = findings.evidence(incident)
    sections = {
        "selection": _selection(incident, flow, told, raw_steps=raw_steps),
        "incident": story.incident_facts(incident),
        "milestones": story.milestones(incident, events),
        "timeline": story.timeline(events),
        "runs": told.runs,
        "failures": failures,
        "violations": violations,
        "evidence": evidence,
        "rules_in_force": findings.rules_in_force(incident, at=at),
        "recurrence": recurrences.recurrence(incident),
        "lessons": recurrences.lessons(incident),
        "totals": {
            "alerts": incident.alerts_count,
            "calls": incident.calls_affected,
            "runs": len(told.runs),
            "agents": len(told.agents),
            "steps": told.steps,
            "failures": len(failures),
            "violations": len(violations),
            "evidence": len(evidence),
            "events": len(events),
            "tokens": told.tokens,
        },
        "cost": runs.cost(incident, told),
        "series": traffic.series(incident, flow),
        "redactions": limits.redactions(told, raw_steps=raw_steps),
        "gaps": limits.gaps(
            incident,
            traffic=flow,
            told=told,
            failures=failures,
            violations=violations,
            evidence=evidence,
            period=period,
        ),
    }
    # Nothing is claimed where there was nothing to check.
    checks = [_counted(incident, flow)]
    if evidence:
        checks.append(
            attestation.hashes(
                "evidence hashes", "evidence payloads", matching=intact, total=len(evidence)
            )
        )
    if told.hashed:
        checks.append(
            attestation.hashes(
                "step hashes", "step contents", matching=told.intact, total=told.hashed
            )
        )
    return Gathered(at, sections, checks)


def _selection(incident: Incident, flow: Traffic, told: Told, *, raw_steps: bool) -> Selection:
    group = f"group “{incident.group_key}”" if incident.group_key else "no group"
    return {
        "rule": f"All alerts that were folded into incident {incident.pk} (trigger "
        f"{incident.trigger_type}, {group}, window from {moment(incident.window_start)}), the "
        "runs that they name with their traces, and the failures, violations and evidence "
        "recorded with the incident.",
        "alerts_covered": flow.alerts,
        "calls_covered": flow.calls,
        "runs_covered": len(told.runs),
        "first_alert_at": moment(flow.first),
        "last_alert_at": moment(flow.last),
        "raw_steps_included": raw_steps,
    }


def _sum(alerts: int, calls: int, cost: Decimal) -> str:
    return f"{count(alerts, 'alert')} of {count(calls, 'distinct call')} and {cents(money(cost))}"


def _counted(incident: Incident, flow: Traffic) -> AttestedCheck:
    return {
        "name": "alert counts",
        "passed": (flow.alerts, flow.calls, flow.cost)
        == (incident.alerts_count, incident.calls_affected, incident.cost_delta_cents),
        "detail": f"Kept: {_sum(flow.alerts, flow.calls, flow.cost)}. The incident counts "
        f"{_sum(incident.alerts_count, incident.calls_affected, incident.cost_delta_cents)}.",
    }
