"""SOC 2: what a bundle's facts say of the Trust Services Criteria CC7.2 to CC7.5.

Each control's status follows from named facts, and from nothing else. The first fact of a control
decides whether there is anything to show at all: an incident that is not resolved cannot
demonstrate recovery, whatever else was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exports.services.documents import Bundle, Control, ControlFact, ControlStatusName, Milestone
from exports.services.wording import by, count, moment


@dataclass(frozen=True, slots=True)
class _Criterion:
    id: str
    title: str
    subject: str


MONITORING = _Criterion(
    "CC7.2",
    "Monitoring for anomalies",
    "The system is monitored for anomalies that point to malicious acts, disasters or errors, "
    "and they are analysed to see whether they are security events.",
)
EVALUATING = _Criterion(
    "CC7.3",
    "Evaluating events",
    "Security events are evaluated to see whether they could or did lead to a failure to meet "
    "objectives, and if so, action is taken to prevent or address it.",
)
RESPONDING = _Criterion(
    "CC7.4",
    "Responding to incidents",
    "Identified incidents are responded to by a defined programme: understood, contained, "
    "remedied and communicated.",
)
RECOVERING = _Criterion(
    "CC7.5",
    "Recovering from incidents",
    "Activities to recover from identified incidents are carried out, and what they teach is "
    "put to use.",
)


def assess(bundle: Bundle) -> list[Control]:
    """The four controls, each with its status, why, and the facts that it was computed from."""
    return [_monitoring(bundle), _evaluating(bundle), _responding(bundle), _recovering(bundle)]


def status_of(facts: Sequence[ControlFact]) -> ControlStatusName:
    """The status that facts amount to; the first that can apply decides if there is any.

    ``holds`` of null means that a fact cannot apply here; it counts neither way.
    """
    found = [fact["holds"] for fact in facts if fact["holds"] is not None]
    if not found:
        return "not_applicable"
    if all(found):
        return "demonstrated"
    return "partial" if found[0] else "no_evidence"


def _monitoring(bundle: Bundle) -> Control:
    selection, totals, incident = bundle["selection"], bundle["totals"], bundle["incident"]
    if incident["source_type"] == "manual" and not selection["alerts_covered"]:
        reported = "No alert: the incident was opened by hand."
    else:
        reported = f"{count(selection['alerts_covered'], 'alert')} of {incident['trigger_type']}."
    return _control(
        MONITORING,
        [
            _fact(
                "Monitoring reported the anomaly",
                selection["alerts_covered"] > 0,
                reported,
                "/selection/alerts_covered",
                "/incident/source_type",
                "/incident/trigger_type",
            ),
            _reached("The time of detection is recorded", bundle, "detected"),
            _fact(
                "Evidence was captured",
                totals["evidence"] > 0,
                f"{count(totals['evidence'], 'payload')} captured and hashed."
                if totals["evidence"]
                else "No evidence was recorded.",
                "/totals/evidence",
                "/evidence",
            ),
        ],
    )


def _evaluating(bundle: Bundle) -> Control:
    incident, totals = bundle["incident"], bundle["totals"]
    taken = [
        milestone
        for milestone in (
            bundle["milestones"]["acknowledged"],
            bundle["milestones"]["resolved"],
        )
        if milestone is not None
    ]
    causes = totals["failures"] + totals["violations"]
    return _control(
        EVALUATING,
        [
            _fact(
                "A person took up the event",
                any(milestone["actor"] is not None for milestone in taken),
                _taken_up(bundle),
                "/milestones/acknowledged",
                "/milestones/resolved",
            ),
            _fact(
                "The event was classified",
                incident["category"] is not None,
                f"Severity {incident['severity']}, {incident['category'] or 'uncategorized'}.",
                "/incident/severity",
                "/incident/category",
            ),
            _fact(
                "What went wrong is recorded",
                causes > 0,
                f"{count(totals['failures'], 'failure').capitalize()} and "
                f"{count(totals['violations'], 'policy violation')}.",
                "/totals/failures",
                "/totals/violations",
            ),
            _fact(
                "Whether it was a real incident was decided",
                incident["resolution_type"] is not None,
                f"Decided: {incident['resolution_type'].replace('_', ' ')}."
                if incident["resolution_type"]
                else "Nobody has said whether it was real, a false positive or a duplicate.",
                "/incident/resolution_type",
            ),
        ],
    )


def _responding(bundle: Bundle) -> Control:
    incident = bundle["incident"]
    # To open an incident by hand is to report it, not to respond to it.
    acts = [
        number
        for number, entry in enumerate(bundle["timeline"])
        if entry["actor"] and entry["event_type"] != "opened"
    ]
    people = sorted({bundle["timeline"][number]["actor"] or "" for number in acts})
    false_alarm = incident["resolution_type"] == "false_positive"
    contained = _reached("The incident was contained", bundle, "contained")
    if false_alarm:
        contained = contained | {
            "holds": None,
            "found": "There was nothing to contain: it was a false positive.",
            "sources": ["/incident/resolution_type"],
        }
    return _control(
        RESPONDING,
        [
            _fact(
                "A named person responded",
                bool(acts),
                f"{count(len(acts), 'act')} by {', '.join(people[:5])}"
                f"{' and others' if len(people) > 5 else ''}."
                if acts
                else "The timeline has no act of a named person in response.",
                *[f"/timeline/{number}" for number in acts[:10]],
                *([] if acts else ["/timeline"]),
            ),
            contained,
            _fact(
                "How it was resolved is recorded",
                incident["resolution_method"] is not None,
                f"Resolution method: {incident['resolution_method']}."
                if incident["resolution_method"]
                else "It has not been resolved.",
                "/incident/resolution_method",
            ),
        ],
    )


def _recovering(bundle: Bundle) -> Control:
    incident, lessons = bundle["incident"], bundle["lessons"]
    kind = incident["resolution_type"]
    if kind in ("false_positive", "duplicate"):
        why = {
            "false_positive": "There was nothing to recover from: it was a false positive.",
            "duplicate": "Recovery belongs to the incident that this one duplicates.",
        }[kind]
        return _control(
            RECOVERING,
            [_fact("The incident is one to recover from", None, why, "/incident/resolution_type")],
        )
    resolved = bundle["milestones"]["resolved"]
    return _control(
        RECOVERING,
        [
            _fact(
                "The incident is resolved",
                incident["status"] == "resolved" and resolved is not None,
                _said("Resolved", resolved),
                "/incident/status",
                "/milestones/resolved",
            ),
            _fact(
                "A person confirmed the recovery",
                resolved is not None and resolved["actor"] is not None,
                f"Confirmed by {resolved['actor']}."
                if resolved and resolved["actor"]
                else "No person is named as having resolved it.",
                "/milestones/resolved",
            ),
            _fact(
                "What was done is described",
                bool(incident["resolution_summary"]),
                "The resolution has a summary."
                if incident["resolution_summary"]
                else "The resolution has no summary.",
                "/incident/resolution_summary",
            ),
            _fact(
                "A lesson was drawn",
                bool(lessons),
                f"{count(len(lessons), 'lesson')}." if lessons else "No lesson was recorded.",
                "/lessons",
            ),
        ],
    )


def _control(criterion: _Criterion, facts: list[ControlFact]) -> Control:
    status = status_of(facts)
    missing = [fact["name"] for fact in facts if fact["holds"] is False]
    explanation: str = {
        "demonstrated": "Every fact that was looked for is in this bundle.",
        "partial": f"Not shown: {'; '.join(missing)}.",
        "no_evidence": f"Not shown, and nothing stands without it: {missing[0]}."
        if missing
        else "",
        "not_applicable": "None of its facts can apply to this incident.",
    }[status]
    return {
        "id": criterion.id,
        "title": criterion.title,
        "subject": criterion.subject,
        "status": status,
        "explanation": explanation,
        "facts": facts,
    }


def _fact(name: str, holds: bool | None, found: str, *sources: str) -> ControlFact:
    return {"name": name, "holds": holds, "found": found, "sources": list(sources)}


def _reached(name: str, bundle: Bundle, milestone: str) -> ControlFact:
    reached: Milestone | None = bundle["milestones"][milestone]  # type: ignore[literal-required]
    found = _said(milestone.capitalize(), reached)
    return _fact(name, reached is not None, found, f"/milestones/{milestone}")


def _taken_up(bundle: Bundle) -> str:
    acknowledged = bundle["milestones"]["acknowledged"]
    resolved = bundle["milestones"]["resolved"]
    if acknowledged is None and resolved is None:
        return "Nobody has acknowledged or resolved it."
    if acknowledged is None:
        return f"Not acknowledged. {_said('Resolved', resolved)}"
    if acknowledged["actor"] is None and resolved is not None and resolved["actor"]:
        return f"{_said('Acknowledged', acknowledged)} {_said('Resolved', resolved)}"
    return _said("Acknowledged", acknowledged)


def _said(verb: str, milestone: Milestone | None) -> str:
    if milestone is None:
        return "No such time is recorded."
    who = by(milestone["actor"], milestone["via"])
    return f"{verb} at {moment(milestone['at'])}{who} ({milestone['source']})."
