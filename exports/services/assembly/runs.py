"""The runs that an incident's alerts named, what they did step by step, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Count,
    F,
    Func,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
)
from django.db.models.functions import Coalesce

from exports.errors import BundleTooLarge
from exports.services import canonical
from exports.services.assembly.values import known, known_money, moment, money
from exports.services.documents import CostFacts, RunFacts, Trace
from exports.services.documents import Step as StepFacts
from incidents.models import CostAnomaly, Incident, IncidentAgent, IncidentRun, Run, Step
from incidents.models import Trace as TraceRow

# A step without its content takes at least so many bytes in a bundle.
_STEP_BYTES: Final = 150


class Hashed(Func):
    """The SHA-256 of a text's UTF-8 bytes, in hexadecimal."""

    template = "encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')"
    output_field = TextField()


@dataclass(frozen=True, slots=True)
class Told:
    """The runs as the bundle tells them, and what was found on the way.

    ``intact`` of the ``hashed`` steps still have the hash that was kept with them. ``unknown``
    runs have no row, which only retention can bring about.
    """

    runs: list[RunFacts]
    rows: list[Run]
    agents: frozenset[str]
    steps: int = 0
    hashed: int = 0
    intact: int = 0
    unknown: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> int | None:
        return known(run.total_tokens for run in self.rows)


def tell(incident: Incident, *, raw_steps: bool) -> Told:
    """Every run that an alert of the incident named, with its trace.

    Raises BundleTooLarge before anything large is read.
    """
    named = list(
        IncidentRun.objects.filter(tenant_id=incident.tenant_id, incident_id=incident.pk)
        .order_by("run_id")
        .values_list("run_id", flat=True)
    )
    rows = list(
        Run.objects.filter(tenant_id=incident.tenant_id, run_id__in=named).order_by(
            Coalesce("started_at", "created_at"), "run_id"
        )
    )
    traces = {
        trace.run_id: trace
        for trace in TraceRow.objects.filter(tenant_id=incident.tenant_id, run_id__in=named)
    }
    _check_size(incident, traces.values(), raw_steps=raw_steps)
    steps = _steps(incident, traces.values(), raw_steps=raw_steps)
    hashes = [intact for listed in steps.values() for _, intact in listed if intact is not None]
    agents = set(
        IncidentAgent.objects.filter(
            tenant_id=incident.tenant_id, incident_id=incident.pk
        ).values_list("agent_id", flat=True)
    )
    agents.update(run.agent_id for run in rows if run.agent_id)
    agents.update(
        step["agent_id"] for listed in steps.values() for step, _ in listed if step["agent_id"]
    )
    return Told(
        runs=[_run(run, traces.get(run.run_id), steps) for run in rows],
        rows=rows,
        agents=frozenset(agents),
        steps=sum(len(listed) for listed in steps.values()),
        hashed=len(hashes),
        intact=sum(hashes),
        unknown=sorted(set(named) - {run.run_id for run in rows}),
    )


def cost(incident: Incident, told: Told) -> CostFacts:
    """What the alerts, the runs and the cost anomalies of either say that it cost."""
    anomalies = CostAnomaly.objects.filter(
        Q(incident_id=incident.pk) | Q(run_id__in=[run.run_id for run in told.rows]),
        tenant_id=incident.tenant_id,
    ).aggregate(cents=Sum("cost_delta_cents"))
    found: Decimal | None = anomalies["cents"]
    return {
        "incident_cents": money(incident.cost_delta_cents),
        "runs_cents": known_money(run.total_cost_cents for run in told.rows),
        "anomalies_cents": money(found),
    }


def _of(incident: Incident, traces: Iterable[TraceRow]) -> QuerySet[Step]:
    return Step.objects.filter(
        tenant_id=incident.tenant_id, trace_id__in=[trace.pk for trace in traces]
    )


def _check_size(incident: Incident, traces: Iterable[TraceRow], *, raw_steps: bool) -> None:
    octets = Func("content", function="octet_length", output_field=BigIntegerField())
    found: dict[str, int] = _of(incident, traces).aggregate(
        steps=Count("*"), octets=Sum(octets, default=0)
    )
    least = found["steps"] * _STEP_BYTES + (found["octets"] if raw_steps else 0)
    if least > canonical.MAX_BYTES:
        raise BundleTooLarge(
            f"The {found['steps']:,} steps of its runs take at least {least:,} bytes; a bundle "
            f"may take {canonical.MAX_BYTES:,}."
            + (" Export it without the raw steps." if raw_steps else "")
        )


def _steps(
    incident: Incident, traces: Iterable[TraceRow], *, raw_steps: bool
) -> dict[Any, list[tuple[StepFacts, bool | None]]]:
    """The steps by trace, each with whether its content still has its hash (null: no content)."""
    found: dict[Any, list[tuple[StepFacts, bool | None]]] = {}
    rows = (
        _of(incident, traces)
        .annotate(
            intact=Func(
                Hashed("content"),
                F("sha256"),
                template="(%(expressions)s)",
                arg_joiner=" = ",
                output_field=BooleanField(null=True),
            )
        )
        .order_by("trace_id", "step_index")
        .values_list(
            "trace_id",
            "intact",
            "step_index",
            "timestamp",
            "step_type",
            "agent_id",
            "tokens",
            "cost_cents",
            "duration_ms",
            "status",
            "sha256",
            F("content") if raw_steps else Value(None, output_field=TextField()),
        )
    )
    for (
        trace_id,
        intact,
        index,
        at,
        kind,
        agent,
        tokens,
        cents,
        duration,
        status,
        sha,
        text,
    ) in rows:
        step: StepFacts = {
            "step_index": index,
            "timestamp": moment(at),
            "step_type": kind,
            "agent_id": agent,
            "tokens": tokens,
            "cost_cents": money(cents),
            "duration_ms": duration,
            "status": status,
            "sha256": sha,
        }
        if raw_steps:
            step["content"] = text
        found.setdefault(trace_id, []).append((step, intact))
    return found


def _run(
    run: Run,
    trace: TraceRow | None,
    steps: dict[Any, list[tuple[StepFacts, bool | None]]],
) -> RunFacts:
    return {
        "run_id": run.run_id,
        "agent_id": run.agent_id,
        "goal": run.goal,
        "status": str(run.status),
        "started_at": moment(run.started_at),
        "completed_at": moment(run.completed_at),
        "termination_reason": run.termination_reason,
        "error": run.error,
        "total_tokens": run.total_tokens,
        "total_cost_cents": money(run.total_cost_cents),
        "trace": None if trace is None else _trace(trace, steps.get(trace.pk, [])),
    }


def _trace(trace: TraceRow, steps: list[tuple[StepFacts, bool | None]]) -> Trace:
    return {
        "trace_id": trace.trace_id,
        "step_count": len(steps),
        "violation_step_index": trace.violation_step_index,
        "violation_timestamp": moment(trace.violation_timestamp),
        "steps": [step for step, _ in steps],
    }
