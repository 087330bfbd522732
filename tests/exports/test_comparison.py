from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports.services.comparison import first_difference
from tests.factories import bundles


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "/b"),
        ({"b": 2, "a": 1}, {"a": 0, "b": 0}, "/a"),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": ""}]}, "/a/1/b"),
        ({"a": [1]}, {"a": [1, 2]}, "/a/1"),
        ({"a": [1, 2]}, {"a": [1]}, "/a/1"),
        ({"a": {}}, {}, "/a"),
        ({}, {"x/y~z": 1}, "/x~1y~0z"),
        ({"a": True}, {"a": 1}, "/a"),
        ({"a": [True]}, {"a": [1]}, "/a/0"),
        ({"a": {}}, {"a": []}, "/a"),
        (1, 2, ""),
    ],
)
def test_first_difference_names_the_place(one: Any, other: Any, place: str) -> None:
    assert first_difference(one, other) == place


def leaves(value: Any, place: str = "") -> list[str]:
    if isinstance(value, dict):
        return [leaf for name in value for leaf in leaves(value[name], f"{place}/{name}")]
    if isinstance(value, list):
        return [leaf for n, item in enumerate(value) for leaf in leaves(item, f"{place}/{n}")]
    return [place]


KEPT: Any = bundles.evidence()


@given(st.sampled_from(leaves(KEPT)))
def test_first_difference_names_any_changed_field_of_a_bundle(place: str) -> None:
    changed = copy.deepcopy(KEPT)
    parent, _, key = place.rpartition("/")
    bundles.at(changed, parent)[int(key) if key.isdigit() else key] = "changed"
    assert first_difference(changed, KEPT) == place
    assert first_difference(KEPT, changed) == place
    assert first_difference(changed, copy.deepcopy(changed)) is None
