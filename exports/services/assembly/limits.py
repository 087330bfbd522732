"""What a bundle leaves out on purpose, and what was never recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from exports.services.assembly.runs import Told
from exports.services.assembly.traffic import Traffic
from exports.services.documents import EvidenceFacts, FailureFacts, Gap, Redaction, ViolationFacts
from exports.services.wording import count
from incidents.enums import Status
from incidents.models import Incident

# Beyond so many runs a gap is told as a count.
_NAMED: Final = 50


def redactions(told: Told, *, raw_steps: bool) -> list[Redaction]:
    """The contents that only hashes stand for."""
    if raw_steps:
        return []
    return [
        {
            "pointer": f"/runs/{number}/trace/steps",
            "what": f"content of {count(contents, 'step')}",
            "reason": "Raw content was not asked for; each step's hash is given.",
        }
        for number, run in enumerate(told.runs)
        if run["trace"]
        and (contents := sum(step["sha256"] is not None for step in run["trace"]["steps"]))
    ]


def gaps(
    incident: Incident,
    *,
    traffic: Traffic,
    told: Told,
    failures: list[FailureFacts],
    violations: list[ViolationFacts],
    evidence: list[EvidenceFacts],
    period: tuple[datetime, datetime] | None,
) -> list[Gap]:
    """What a reader would look for and not find, each with why, as far as that is known."""
    return [
        {"subject": subject, "detail": detail}
        for subject, detail in (
            *_of_alerts(incident, traffic),
            *_of_runs(told),
            *_of_findings(failures, violations, evidence),
            *_of_acts(incident, period),
        )
    ]


def _of_alerts(incident: Incident, traffic: Traffic) -> Iterator[tuple[str, str]]:
    if not incident.alerts_count:
        yield "alerts", "No alert was folded into this incident."
    elif traffic.alerts < incident.alerts_count:
        yield (
            "alerts",
            f"{incident.alerts_count - traffic.alerts:,} of {incident.alerts_count:,} alerts are "
            "no longer kept; the incident's own counts include them.",
        )


def _of_runs(told: Told) -> Iterator[tuple[str, str]]:
    if not told.runs and not told.unknown:
        yield "runs", "No alert named a run."
    for name in told.unknown[:_NAMED]:
        yield f"run {name}", "The run is no longer kept."
    untraced = [run["run_id"] for run in told.runs if run["trace"] is None]
    for name in untraced[:_NAMED]:
        yield f"run {name}", "No trace was received for this run."
    for names, said in ((told.unknown, "are no longer kept"), (untraced, "have no trace")):
        if len(names) > _NAMED:
            yield "runs", f"{len(names) - _NAMED:,} further runs {said}."
    for run in told.runs:
        if run["trace"] and run["trace"]["steps"]:
            empty = sum(step["sha256"] is None for step in run["trace"]["steps"])
            if empty:
                yield f"run {run['run_id']}", f"{count(empty, 'step')} came without content."


def _of_findings(
    failures: list[FailureFacts],
    violations: list[ViolationFacts],
    evidence: list[EvidenceFacts],
) -> Iterator[tuple[str, str]]:
    if not failures and not violations:
        yield "cause", "No failure and no policy violation was reported into this incident."
    if not evidence:
        yield "evidence", "No evidence was recorded."


def _of_acts(
    incident: Incident, period: tuple[datetime, datetime] | None
) -> Iterator[tuple[str, str]]:
    if incident.acknowledged_at is None:
        yield "acknowledgement", "Nobody acknowledged this incident."
    if incident.status != Status.RESOLVED:
        yield "resolution", f"The incident is {incident.status}, not resolved."
    elif not incident.resolution_summary:
        yield "resolution", "The resolution has no summary."
    if period is not None:
        begins, ends = period
        if not begins <= incident.started_at < ends:
            yield "period", "The incident did not start in the compliance period."
