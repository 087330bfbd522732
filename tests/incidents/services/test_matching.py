from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any

from config import clock
from incidents.services.matching import Rules

NOW = clock.now()


def row(number: int, *asked: str | None, mode: str = "active", age: int = 0) -> list[Any]:
    return [clock.uuid7(), number, mode, NOW - timedelta(seconds=age), *asked]


def test_match_prefers_the_most_specific_rule_whatever_its_age_and_mode() -> None:
    general = row(1, "llm_failure", None, None, None)
    exact = row(2, "llm_failure", "TIMEOUT", None, "agent", mode="shadow", age=100)
    middle = row(3, None, "TIMEOUT", None, "agent", age=50)
    rules = Rules([general, exact, middle])
    found = rules.match(("llm_failure", "TIMEOUT", "execution_failure", "agent"))
    assert found is not None
    assert (found.rule_id, found.revision, found.prevents) == (exact[0], 2, False)
    found = rules.match(("other", "TIMEOUT", None, "agent"))
    assert found is not None
    assert found.rule_id == middle[0]


def test_match_prefers_the_newest_of_equally_specific_rules() -> None:
    older = row(1, "llm_failure", None, None, None, age=10)
    newer = row(2, None, "TIMEOUT", None, None, age=5)
    newest = row(3, None, "TIMEOUT", None, None, age=1)
    rules = Rules([newest, older, newer])
    found = rules.match(("llm_failure", "TIMEOUT", None, None))
    assert found is not None
    assert found.rule_id == newest[0]


def test_match_takes_null_for_nothing_given() -> None:
    rules = Rules([row(1, None, None, "cost", None)])
    assert rules.match(("x", None, None, None)) is None
    assert rules.match(("x", None, "cos", None)) is None
    assert rules.match(("x", None, "cost%", None)) is None
    assert rules.match(("x", None, "cost", None)) is not None


def test_match_agrees_with_asking_every_rule() -> None:
    chance = random.Random(5)
    values = [None, "a", "b", "c"]
    rows = [
        row(number, *asked, age=chance.randrange(1000))
        for number, asked in enumerate(chance.sample(list(itertools.product(values, repeat=4)), 60))
        if any(asked)
    ]
    rules = Rules(rows)
    reports = list(itertools.product(values, repeat=4))
    for fields, found in zip(reports, rules.match_all(reports), strict=True):
        matching = [
            r for r in rows if all(w is None or w == f for w, f in zip(r[4:], fields, strict=True))
        ]
        expected = max(matching, key=lambda r: (4 - r[4:].count(None), r[3], r[0]), default=None)
        assert (found and found.rule_id) == (expected and expected[0])


def test_rules_without_any_are_falsy() -> None:
    assert not Rules([])
    assert Rules([row(1, "a", None, None, None)])
