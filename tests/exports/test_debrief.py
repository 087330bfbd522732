from __future__ import annotations

from typing import Any

import pytest

from exports.services import debrief
from tests.factories import bundles


def texts(sentences: Any) -> list[str]:
    return [sentence["text"] for sentence in sentences]


def changed(**changes: Any) -> Any:
    """The evidence bundle with members of its incident and of itself replaced."""
    bundle = bundles.evidence()
    for name, value in changes.items():
        if name in bundle["incident"]:
            bundle["incident"][name] = value
        else:
            bundle[name] = value
    return bundle


def test_compose_names_a_field_for_every_sentence() -> None:
    for bundle in (bundles.evidence(), bundles.bare()):
        made: Any = debrief.compose(bundle)  # type: ignore[arg-type]
        sentences = [
            *made["summary"],
            *made["risk_level"]["because"],
            *made["business_impact"],
            *made["recommendations"],
        ]
        assert len(sentences) >= 8
        for sentence in sentences:
            assert sentence["sources"], sentence["text"]
            for pointer in sentence["sources"]:
                bundles.at(bundle, pointer)


def test_business_impact_counts_runs_calls_agents_and_cost() -> None:
    assert texts(debrief.business_impact(changed())) == [
        "203 calls in 2 runs of 3 agents were affected, reported by 249 alerts.",
        "The alerts report a cost of 355.25 cents.",
        "The affected runs cost 14.221 cents in all.",
        "From detection to containment it took 11 min 1 s.",
    ]


def test_business_impact_says_so_when_nothing_was_recorded() -> None:
    bundle: Any = bundles.bare()
    assert texts(debrief.business_impact(bundle)) == [
        "No affected call, run or agent was recorded.",
        "The alerts report no cost.",
        "What the affected runs cost was not recorded.",
    ]


RULE = bundles.evidence()["rules_in_force"][0]
ACTIVE = RULE | {"mode": "active"}
NEVER_AGAIN = {"window_days": 30, "occurrences": 0, "incident_ids": []}


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"severity": "high"}, "critical"),
        ({"severity": "low"}, "high"),
        ({"severity": "low", "recurrence": NEVER_AGAIN}, "medium"),
        ({"severity": "low", "lessons": []}, "medium"),
        ({"severity": "low", "lessons": [], "recurrence": NEVER_AGAIN}, "low"),
        ({"severity": "high", "rules_in_force": [ACTIVE]}, "critical"),
        ({"severity": "high", "rules_in_force": [ACTIVE], "recurrence": NEVER_AGAIN}, "medium"),
        ({"severity": "low", "rules_in_force": [ACTIVE], "recurrence": NEVER_AGAIN}, "low"),
        ({"severity": "critical", "resolution_type": "false_positive"}, "low"),
    ],
)
def test_risk_level_follows_severity_recurrence_lessons_and_rules(
    changes: dict[str, Any], level: str
) -> None:
    found = debrief.risk_level(changed(**changes))
    assert found["level"] == level
    assert found["because"]


def test_recommendations_follow_from_the_facts() -> None:
    assert texts(debrief.recommendations(changed())) == [
        "Look for a common cause: there were 3 other incidents of the same kind in 30 days.",
        "Decide on the lesson “Give batch work its own quota”, pending since 2026-11-16.",
        "Consider making the rule “Drop alerts of retired models” active: so far it watched.",
    ]
    calm = changed(lessons=[], rules_in_force=[], recurrence=NEVER_AGAIN)
    assert texts(debrief.recommendations(calm)) == [
        "Nothing further follows from what was recorded."
    ]
    again = changed(lessons=[], rules_in_force=[])
    assert "none was in force and it has come back" in texts(debrief.recommendations(again))[1]
    silent = changed(lessons=[], rules_in_force=[ACTIVE], resolution_summary="")
    assert "the resolution has no summary" in texts(debrief.recommendations(silent))[-1]
    assert "not resolved yet" in texts(debrief.recommendations(changed(status="acknowledged")))[0]
    mistaken = changed(resolution_type="false_positive")
    assert "false positive" in texts(debrief.recommendations(mistaken))[0]


def test_recommendations_count_the_lessons_they_do_not_list() -> None:
    lesson = bundles.evidence()["lessons"][0]
    many = changed(lessons=[lesson | {"title": f"Lesson {n}"} for n in range(8)])
    said = texts(debrief.recommendations(many))
    assert sum("Decide on the lesson" in text for text in said) == 5
    assert "Decide on 3 further open lessons." in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"resolution_type": "false_positive"}, "resolved as a false positive by ada 1 h 22 min"),
        ({"resolution_type": "duplicate"}, "resolved as a duplicate of another incident by ada"),
        ({"status": "open"}, "It was open when this debrief was made."),
        ({"is_synthetic": True}, "It is synthetic: a drill, not a real event."),
        ({"milestones": dict.fromkeys(bundles.evidence()["milestones"])}, "Nobody has taken it"),
        (
            {"milestones": bundles.evidence()["milestones"] | {"acknowledged": None}},
            "Nobody acknowledged it before it was resolved.",
        ),
        ({"title": "t" * 2000}, "t" * 199 + "…."),
    ],
)
def test_summary_says_how_it_stands(changes: dict[str, Any], said: str) -> None:
    assert said in " ".join(texts(debrief.summary(changed(**changes))))


def test_business_impact_says_that_it_was_detected_late() -> None:
    bundle: Any = bundles.evidence()
    said = texts(debrief.business_impact(bundle))
    assert said[-1] == "From detection to containment it took 11 min 1 s."
    bundle["milestones"]["detected"]["at"] = bundles.moment(663 + 3_600)
    said = texts(debrief.business_impact(bundle))
    assert said[-1] == "It was over 1 h before it was detected."
