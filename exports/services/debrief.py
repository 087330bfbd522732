"""The executive debrief: sentences built from a bundle's facts, each with the fields it is from.

Nothing is said that no field says. Risk and recommendations follow from severity, recurrence,
open lessons and the rules in force.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from exports.services.documents import Bundle, LessonFacts, RiskLevel, Sentence, Severity
from exports.services.wording import by, cents, count, duration, moment, shorten

# A kind of incident that came back this often within the window is a pattern, not a chance.
RECURRING = 3
# Further open lessons are counted, not listed.
LISTED_LESSONS = 5

_LEVELS: tuple[Severity, ...] = ("low", "medium", "high", "critical")
_OPEN_LESSON = ("pending", "deferred")


class Debrief(TypedDict):
    """What an executive bundle holds beyond the facts."""

    summary: list[Sentence]
    risk_level: RiskLevel
    business_impact: list[Sentence]
    recommendations: list[Sentence]


def compose(bundle: Bundle) -> Debrief:
    """Everything an executive bundle says about these facts."""
    return {
        "summary": summary(bundle),
        "risk_level": risk_level(bundle),
        "business_impact": business_impact(bundle),
        "recommendations": recommendations(bundle),
    }


def summary(bundle: Bundle) -> list[Sentence]:
    """What happened, and how it stands."""
    incident = bundle["incident"]
    sentences = [
        _say(
            f"On {moment(incident['started_at'])} an incident of {incident['severity']} severity "
            f"began: {shorten(incident['title'], 200)}.",
            "/incident/started_at",
            "/incident/severity",
            "/incident/title",
        )
    ]
    if incident["is_synthetic"]:
        sentences.append(
            _say("It is synthetic: a drill, not a real event.", "/incident/is_synthetic")
        )
    acknowledged = bundle["milestones"]["acknowledged"]
    if acknowledged:
        who = by(acknowledged["actor"], acknowledged["via"])
        sentences.append(
            _say(
                f"It was taken up{who} {duration(incident['created_at'], acknowledged['at'])} "
                "after it was recorded.",
                "/milestones/acknowledged",
                "/incident/created_at",
            )
        )
    elif bundle["milestones"]["resolved"]:
        sentences.append(
            _say(
                "Nobody acknowledged it before it was resolved.",
                "/milestones/acknowledged",
                "/milestones/resolved",
            )
        )
    else:
        sentences.append(_say("Nobody has taken it up.", "/milestones/acknowledged"))
    sentences.append(_standing(bundle))
    return sentences


def _standing(bundle: Bundle) -> Sentence:
    incident, resolved = bundle["incident"], bundle["milestones"]["resolved"]
    if incident["status"] != "resolved" or resolved is None:
        return _say(
            f"It was {incident['status']} when this debrief was made.",
            "/incident/status",
            "/generated_at",
        )
    kind = {
        "false_positive": " as a false positive",
        "duplicate": " as a duplicate of another incident",
    }.get(incident["resolution_type"] or "", "")
    who = by(resolved["actor"], resolved["via"]) or " without a person's name"
    return _say(
        f"It was resolved{kind}{who} {duration(incident['created_at'], resolved['at'])} after it "
        f"was recorded (method: {incident['resolution_method']}).",
        "/milestones/resolved",
        "/incident/created_at",
        "/incident/resolution_method",
        "/incident/resolution_type",
    )


def risk_level(bundle: Bundle) -> RiskLevel:
    """How much there is still to fear of this kind of incident, and why."""
    incident = bundle["incident"]
    if incident["resolution_type"] == "false_positive":
        why = "The incident was resolved as a false positive, so the risk is low."
        return {"level": "low", "because": [_say(why, "/incident/resolution_type")]}
    level = _LEVELS.index(incident["severity"])
    because = [_say(f"The incident's severity is {incident['severity']}.", "/incident/severity")]
    recurrence = bundle["recurrence"]
    if recurrence["occurrences"] >= RECURRING:
        level += 1
        because.append(_say(f"It raises the risk that {_recurrence(bundle)}.", *_RECURRENCE))
    else:
        because.append(_say(f"Recurrence does not raise it: {_recurrence(bundle)}.", *_RECURRENCE))
    active = [rule for rule in bundle["rules_in_force"] if rule["mode"] == "active"]
    waiting = _open_lessons(bundle)
    if waiting and not active:
        level += 1
        because.append(
            _say(
                f"It raises the risk that {count(len(waiting), 'lesson')} "
                f"{'is' if len(waiting) == 1 else 'are'} open while no active rule prevents "
                "incidents of this kind.",
                *[f"/lessons/{number}/status" for number, _ in waiting],
                "/rules_in_force",
            )
        )
    elif active and not recurrence["occurrences"]:
        level -= 1
        because.append(
            _say(
                f"It lowers the risk that {count(len(active), 'active rule')} "
                f"{'covers' if len(active) == 1 else 'cover'} this kind and it has not come back.",
                "/rules_in_force",
                "/recurrence/occurrences",
            )
        )
    return {"level": _LEVELS[min(max(level, 0), len(_LEVELS) - 1)], "because": because}


def business_impact(bundle: Bundle) -> list[Sentence]:
    """Runs, calls, agents and cost; what was not recorded is said to be so."""
    totals, cost = bundle["totals"], bundle["cost"]
    sentences = [
        _say(
            f"{count(totals['calls'], 'call').capitalize()} in "
            f"{count(totals['runs'], 'run')} of {count(totals['agents'], 'agent')} "
            f"{'was' if totals['calls'] <= 1 else 'were'} affected, reported by "
            f"{count(totals['alerts'], 'alert')}.",
            "/totals/calls",
            "/totals/runs",
            "/totals/agents",
            "/totals/alerts",
        )
        if totals["calls"] or totals["runs"] or totals["alerts"]
        else _say(
            "No affected call, run or agent was recorded.",
            "/totals/calls",
            "/totals/runs",
            "/totals/agents",
            "/totals/alerts",
        ),
        _say(
            f"The alerts report a cost of {cents(cost['incident_cents'])}."
            if any(digit in "123456789" for digit in cost["incident_cents"])
            else "The alerts report no cost.",
            "/cost/incident_cents",
        ),
        _say(
            f"The affected runs cost {cents(cost['runs_cents'])} in all."
            if cost["runs_cents"] is not None
            else "What the affected runs cost was not recorded.",
            "/cost/runs_cents",
        ),
    ]
    if cost["anomalies_cents"] is not None:
        sentences.append(
            _say(
                f"Cost anomalies of these runs amount to {cents(cost['anomalies_cents'])}.",
                "/cost/anomalies_cents",
            )
        )
    contained, detected = bundle["milestones"]["contained"], bundle["milestones"]["detected"]
    if contained and detected:
        late = datetime.fromisoformat(contained["at"]) < datetime.fromisoformat(detected["at"])
        sentences.append(
            _say(
                f"It was over {duration(contained['at'], detected['at'])} before it was detected."
                if late
                else "From detection to containment it took "
                f"{duration(detected['at'], contained['at'])}.",
                "/milestones/detected/at",
                "/milestones/contained/at",
            )
        )
    return sentences


def recommendations(bundle: Bundle) -> list[Sentence]:
    """What follows from the facts, most urgent first; one sentence when nothing does."""
    incident = bundle["incident"]
    if incident["resolution_type"] == "false_positive":
        why = "Look at why this was reported: it was a false positive."
        return [_say(why, "/incident/resolution_type")]
    advice: list[Sentence] = []
    if incident["status"] == "open":
        advice.append(_say("Have a person take up the incident: it is open.", "/incident/status"))
    elif incident["status"] == "acknowledged":
        advice.append(
            _say("Bring the incident to an end: it is not resolved yet.", "/incident/status")
        )
    if bundle["recurrence"]["occurrences"] >= RECURRING:
        advice.append(
            _say(f"Look for a common cause: {_recurrence(bundle)}.", *_RECURRENCE),
        )
    advice += _about_lessons(bundle)
    advice += _about_rules(bundle)
    if incident["status"] == "resolved" and not incident["resolution_summary"]:
        advice.append(
            _say(
                "Write down what was done: the resolution has no summary.",
                "/incident/resolution_summary",
            )
        )
    return advice or [
        _say(
            "Nothing further follows from what was recorded.",
            "/incident/status",
            "/recurrence/occurrences",
            "/lessons",
            "/rules_in_force",
        )
    ]


def _about_lessons(bundle: Bundle) -> list[Sentence]:
    waiting = _open_lessons(bundle)
    advice = [
        _say(
            f"Decide on the lesson “{shorten(lesson['title'], 100)}”, {lesson['status']} since "
            f"{lesson['created_at'][:10]}.",
            f"/lessons/{number}/title",
            f"/lessons/{number}/status",
            f"/lessons/{number}/created_at",
        )
        for number, lesson in waiting[:LISTED_LESSONS]
    ]
    if len(waiting) > LISTED_LESSONS:
        more = count(len(waiting) - LISTED_LESSONS, "further open lesson")
        advice.append(_say(f"Decide on {more}.", "/lessons"))
    return advice


def _about_rules(bundle: Bundle) -> list[Sentence]:
    rules = bundle["rules_in_force"]
    if not rules:
        if not bundle["recurrence"]["occurrences"]:
            return []
        why = "Consider a rule for this kind of incident: none was in force and it has come back."
        return [_say(why, "/rules_in_force", "/recurrence/occurrences")]
    return [
        _say(
            f"Consider making the rule “{shorten(rule['name'], 100)}” active: so far it watched.",
            f"/rules_in_force/{number}/name",
            f"/rules_in_force/{number}/mode",
        )
        for number, rule in enumerate(rules[:LISTED_LESSONS])
        if rule["mode"] == "shadow"
    ]


_RECURRENCE = ("/recurrence/occurrences", "/recurrence/window_days")


def _recurrence(bundle: Bundle) -> str:
    recurrence = bundle["recurrence"]
    times = count(recurrence["occurrences"], "other incident")
    was = "was" if recurrence["occurrences"] <= 1 else "were"
    return f"there {was} {times} of the same kind in {count(recurrence['window_days'], 'day')}"


def _open_lessons(bundle: Bundle) -> list[tuple[int, LessonFacts]]:
    return [
        (number, lesson)
        for number, lesson in enumerate(bundle["lessons"])
        if lesson["status"] in _OPEN_LESSON
    ]


def _say(text: str, *sources: str) -> Sentence:
    return {"text": text, "sources": list(sources)}
