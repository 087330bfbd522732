from __future__ import annotations

from typing import Any

import pytest

from exports.services import controls
from tests.factories import bundles


def assessed(bundle: Any) -> dict[str, Any]:
    return {control["id"]: control for control in controls.assess(bundle)}


def statuses(bundle: Any) -> dict[str, str]:
    return {name: control["status"] for name, control in assessed(bundle).items()}


def test_assess_names_the_criteria_by_their_real_subjects() -> None:
    assert {name: control["title"] for name, control in assessed(bundles.evidence()).items()} == {
        "CC7.2": "Monitoring for anomalies",
        "CC7.3": "Evaluating events",
        "CC7.4": "Responding to incidents",
        "CC7.5": "Recovering from incidents",
    }


def test_assess_demonstrates_what_every_fact_shows() -> None:
    assert set(statuses(bundles.evidence()).values()) == {"demonstrated"}


def test_assess_finds_no_evidence_where_there_is_none() -> None:
    assert set(statuses(bundles.bare()).values()) == {"no_evidence"}


@pytest.mark.parametrize("bundle", [bundles.evidence(), bundles.bare()])
def test_assess_lists_facts_whose_sources_exist(bundle: dict[str, Any]) -> None:
    for control in controls.assess(bundle):  # type: ignore[arg-type]
        assert control["facts"]
        for fact in control["facts"]:
            assert fact["sources"]
            assert fact["found"]
            for pointer in fact["sources"]:
                bundles.at(bundle, pointer)


def test_assess_never_demonstrates_recovery_of_an_unresolved_incident() -> None:
    bundle = bundles.evidence()
    bundle["incident"] |= {"status": "acknowledged", "resolved_at": None}
    bundle["milestones"]["resolved"] = None
    recovery = assessed(bundle)["CC7.5"]
    assert recovery["status"] == "no_evidence"
    assert "The incident is resolved" in recovery["explanation"]


@pytest.mark.parametrize(
    ("acknowledged", "resolved", "found"),
    [
        ("ada", None, "Acknowledged at 2026-11-16 18:20:16 UTC by ada (the timeline)."),
        (None, "grace", "Not acknowledged. Resolved at 2026-11-16 19:38:04 UTC by grace"),
        ("", "grace", "through a-key (the timeline). Resolved at 2026-11-16 19:38:04 UTC by grace"),
        ("", "", None),
        (None, None, None),
    ],
)
def test_assess_takes_a_named_persons_act_for_evaluation(
    acknowledged: str | None, resolved: str | None, found: str | None
) -> None:
    bundle = bundles.evidence()
    for name, actor in (("acknowledged", acknowledged), ("resolved", resolved)):
        if actor is None:
            bundle["milestones"][name] = None
        else:
            bundle["milestones"][name] |= {"actor": actor or None, "via": "a-key"}
    evaluated = assessed(bundle)["CC7.3"]
    if found is None:
        assert evaluated["status"] == "no_evidence"
    else:
        assert evaluated["status"] == "demonstrated"
        assert found in evaluated["facts"][0]["found"]


def test_assess_takes_no_report_for_a_response() -> None:
    bundle = bundles.evidence()
    bundle["timeline"] = [entry | {"actor": "ada"} for entry in bundle["timeline"][:1]]
    assert bundle["timeline"][0]["event_type"] == "opened"
    responded = assessed(bundle)["CC7.4"]
    assert responded["status"] == "no_evidence"
    assert responded["facts"][0]["sources"] == ["/timeline"]


def test_assess_finds_recovery_partial_when_no_person_confirmed_it() -> None:
    bundle = bundles.evidence()
    bundle["milestones"]["resolved"]["actor"] = None
    recovery = assessed(bundle)["CC7.5"]
    assert recovery["status"] == "partial"
    assert recovery["explanation"] == "Not shown: A person confirmed the recovery."


@pytest.mark.parametrize(
    ("kind", "response"), [("false_positive", "demonstrated"), ("duplicate", "demonstrated")]
)
def test_assess_asks_for_no_recovery_where_there_was_nothing_to_recover(
    kind: str, response: str
) -> None:
    bundle = bundles.evidence()
    bundle["incident"]["resolution_type"] = kind
    bundle["milestones"]["contained"] = (
        None
        if kind == "false_positive"
        else {"at": bundles.moment(), "actor": None, "via": None, "source": "x"}
    )
    assert statuses(bundle)["CC7.5"] == "not_applicable"
    assert statuses(bundle)["CC7.4"] == response


@pytest.mark.parametrize(
    ("path", "value", "control"),
    [
        ("/milestones/detected", None, "CC7.2"),
        ("/totals/evidence", 0, "CC7.2"),
        ("/incident/category", None, "CC7.3"),
        ("/incident/resolution_type", None, "CC7.3"),
        ("/milestones/contained", None, "CC7.4"),
        ("/incident/resolution_method", None, "CC7.4"),
        ("/incident/resolution_summary", "", "CC7.5"),
        ("/lessons", [], "CC7.5"),
    ],
)
def test_assess_is_partial_without_one_fact(path: str, value: Any, control: str) -> None:
    bundle = bundles.evidence()
    parent, _, key = path.rpartition("/")
    bundles.at(bundle, parent)[key] = value
    found = statuses(bundle)
    assert found.pop(control) == "partial"
    assert set(found.values()) == {"demonstrated"}


@pytest.mark.parametrize(
    ("path", "value", "control"),
    [
        ("/selection/alerts_covered", 0, "CC7.2"),
        ("/timeline", [], "CC7.4"),
    ],
)
def test_assess_finds_no_evidence_without_the_fact_that_decides(
    path: str, value: Any, control: str
) -> None:
    bundle = bundles.evidence()
    parent, _, key = path.rpartition("/")
    bundles.at(bundle, parent)[key] = value
    assert statuses(bundle)[control] == "no_evidence"
