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
        None if kind == "false_positive" else {"at": bundles.moment(), "actor": None, "source": "x"}
    )
    assert statuses(bundle)["CC7.5"] == "not_applicable"
    assert statuses(bundle)["CC7.4"] == response


@pytest.mark.parametrize(
    ("path", "value", "control"),
    [
        ("/milestones/detected", None, "CC7.2"),
        ("/totals/evidence", 0, "CC7.2"),
        ("/incident/category", None, "CC7.3"),
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
        ("/milestones/acknowledged", None, "CC7.3"),
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
