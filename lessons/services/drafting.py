"""Puts into words, and into a rule's fields, what an incident or a lesson teaches.

There is one place that decides which rule an incident calls for, so that a proposal drafted from
it and one converted from its lesson propose the same.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from config.api import values
from incidents.enums import Severity
from incidents.models import Incident
from lessons.enums import LessonType, ProposalKind
from lessons.models import Lesson

KIND_OF_ERROR: Final[dict[str, ProposalKind]] = {
    "EXECUTION_TIMEOUT": ProposalKind.TIMEOUT,
    "AGENT_CRASH": ProposalKind.CRASH_RECOVERY,
    "BUDGET_EXCEEDED": ProposalKind.COST_CAP,
    "RATE_LIMIT_EXCEEDED": ProposalKind.RATE_LIMIT,
    "STEP_FAILURE": ProposalKind.RETRY,
}

_ACTION: Final[dict[ProposalKind, str]] = {
    ProposalKind.TIMEOUT: "Give these calls a time limit and a fallback, so that they end early.",
    ProposalKind.CRASH_RECOVERY: "Restart the agent from its last good step when it crashes.",
    ProposalKind.COST_CAP: "Cap what a run may spend, and halt it before the cap is passed.",
    ProposalKind.RATE_LIMIT: "Slow these calls down before the provider's limit is reached.",
    ProposalKind.RETRY: "Retry the failing step with a growing pause, a few times.",
    ProposalKind.FAILURE_PATTERN: "Find what these reports have in common and keep it from "
    "happening again.",
}

_MATCHES: Final[dict[str, re.Pattern[str]]] = {
    "trigger_type": values.SLUG,
    "error_code": re.compile(r".{1,200}", re.DOTALL),
    "category": values.SLUG,
    "agent_id": values.IDENTIFIER,
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a report has to be equal in; at least one is needed to match anything."""

    trigger_type: str | None = None
    error_code: str | None = None
    category: str | None = None
    agent_id: str | None = None

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        given = [f"{name} {value}" for name, value in asdict(self).items() if value]
        return ", ".join(given) or "nothing"


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as a proposal would put it."""

    kind: ProposalKind
    name: str
    rationale: str
    matcher: Matcher


def kind_of_error(error_code: str | None) -> ProposalKind:
    """The kind of policy that an error calls for."""
    return KIND_OF_ERROR.get(error_code or "", ProposalKind.FAILURE_PATTERN)


def matcher_of_incident(incident: Incident) -> Matcher:
    """What reports like the incident's are equal in.

    The agent only counts where it is what identifies the incident: its alerts were grouped by
    it, or they named neither an error nor a category.
    """
    by_agent = incident.group_key == incident.agent_id or not (
        incident.error_code or incident.category
    )
    return Matcher(
        trigger_type=incident.trigger_type,
        error_code=incident.error_code,
        category=incident.category,
        agent_id=incident.agent_id if by_agent else None,
    )


def matcher_of_lesson(lesson: Lesson) -> Matcher:
    """As of its incident; without one, what its detected pattern names."""
    if lesson.incident is not None:
        return matcher_of_incident(lesson.incident)
    pattern: dict[str, Any] = lesson.detected_pattern or {}
    if lesson.lesson_type == LessonType.NEAR_THRESHOLD and "trigger_type" not in pattern:
        # Reports of what came near its threshold are triggered by the metric of that name.
        pattern = {**pattern, "trigger_type": pattern.get("metric")}
    return Matcher(
        **{
            name: value
            for name, shape in _MATCHES.items()
            if isinstance(value := pattern.get(name), str) and shape.fullmatch(value)
        }
    )


def of_incident(incident: Incident) -> Draft:
    """The rule that an incident calls for."""
    return _draft(
        matcher_of_incident(incident),
        f"Incident {incident.title!r}: {describe(incident)} {action(incident)}",
    )


def of_lesson(lesson: Lesson) -> Draft:
    """The rule that a lesson calls for: its incident's, when it has one."""
    if lesson.incident is not None:
        return of_incident(lesson.incident)
    said = " ".join(filter(None, (lesson.description, lesson.proposed_action)))
    return _draft(matcher_of_lesson(lesson), f"Lesson {lesson.title!r}: {said}")


def _draft(matcher: Matcher, rationale: str) -> Draft:
    kind = kind_of_error(matcher.error_code)
    about = matcher.error_code or matcher.category or matcher.trigger_type or matcher.agent_id
    label = kind.value.replace("_", " ").capitalize()
    return Draft(
        kind=kind,
        name=(f"{label}: {about}" if about else label)[:200],
        rationale=rationale,
        matcher=matcher,
    )


def describe(incident: Incident) -> str:
    """What happened, from the incident's facts as they stand."""
    calls, alerts = incident.calls_affected, incident.alerts_count
    said = [
        f"An incident of {incident.trigger_type} began on "
        f"{incident.started_at:%Y-%m-%d at %H:%M:%S} UTC; it is "
        f"{Severity(incident.severity).label} and has affected "
        f"{calls:,} {'call' if calls == 1 else 'calls'} "
        f"in {alerts:,} {'alert' if alerts == 1 else 'alerts'} so far"
    ]
    if incident.cost_delta_cents:
        said.append(f", at {incident.cost_delta_cents.normalize():f} cents")
    said.append(".")
    if incident.error_code:
        message = f": {incident.error_message}" if incident.error_message else ""
        said.append(f" Error {incident.error_code}{message}.")
    elif incident.error_message:
        said.append(f" {incident.error_message}.")
    for label, value in (
        ("Category", incident.category),
        ("Agent", incident.agent_id),
        ("Model", incident.model),
    ):
        if value:
            said.append(f" {label} {value}.")
    return "".join(said)


def action(incident: Incident) -> str:
    """What could be done about it, and what a rule would have to match."""
    kind = kind_of_error(incident.error_code)
    return f"{_ACTION[kind]} A {kind.value} would match {matcher_of_incident(incident)}."


def pattern(incident: Incident) -> dict[str, Any]:
    """What identifies the incident, for programs."""
    facts = {
        "trigger_type": incident.trigger_type,
        "group_key": incident.group_key or None,
        "error_code": incident.error_code,
        "category": incident.category,
        "agent_id": incident.agent_id,
        "model": incident.model,
    }
    return {name: value for name, value in facts.items() if value is not None}
