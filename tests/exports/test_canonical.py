from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from exports.enums import BundleType
from exports.errors import BundleTooLarge, NotCanonical
from exports.services import canonical

text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(text, json_values, max_size=6))
def test_encode_equals_the_reference_implementation(value: dict[str, Any]) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


def test_encode_equals_the_reference_for_every_character() -> None:
    for plane in range(17):
        everything = "".join(
            chr(code)
            for code in range(plane * 0x10000, (plane + 1) * 0x10000)
            if not 0xD800 <= code <= 0xDFFF
        )
        assert canonical.encode({"all": everything}) == rfc8785.dumps({"all": everything})


def test_encode_sorts_keys_by_utf_16_code_units() -> None:
    # By code point the order would be the other way round.
    assert canonical.encode({"\uffff": 1, "\U0001f600": 2}) == '{"😀":2,"\uffff":1}'.encode()


@pytest.mark.parametrize(
    ("value", "pointer", "why"),
    [
        ({"a": [1, {"b/c~": 0.5}]}, "/a/1/b~1c~0", "floating-point"),
        ({"a": float("nan")}, "/a", "floating-point"),
        ({"a": Decimal("1.5")}, "/a", "Decimal"),
        ({"a": [None, 2**53]}, "/a/1", "2^53-1"),
        ({"a": -(2**53)}, "/a", "2^53-1"),
        ({"a": 10**400}, "/a", "2^53-1"),
        ({"a": {"b": "x\ud800"}}, "/a/b", "surrogate"),
        ({"a": {"\udfff": 1}}, "/a", "surrogate"),
        ({"a": {1: "x"}}, "/a", "not a string"),
        ({"a": BundleType.SOC2}, "/a", "BundleType"),
        ({"a": (1, 2)}, "/a", "tuple"),
        ({"a": b"bytes"}, "/a", "bytes"),
    ],
)
def test_encode_refuses_what_has_no_canonical_form(
    value: dict[str, Any], pointer: str, why: str
) -> None:
    with pytest.raises(NotCanonical) as refusal:
        canonical.encode(value)
    assert [error.pointer for error in refusal.value.errors] == [pointer]
    assert why in refusal.value.errors[0].detail


def nested(depth: int) -> dict[str, Any]:
    value: Any = "leaf"
    for _ in range(depth):
        value = [value]
    return {"a": value}


def test_encode_refuses_deep_nesting() -> None:
    deepest = canonical.MAX_DEPTH
    assert canonical.encode(nested(deepest)) == rfc8785.dumps(nested(deepest))
    for depth in (deepest + 1, 100_000):
        with pytest.raises(NotCanonical, match="levels deep"):
            canonical.encode(nested(depth))


def test_encode_refuses_a_value_that_contains_itself() -> None:
    value: dict[str, Any] = {}
    value["a"] = value
    with pytest.raises(NotCanonical, match="levels deep"):
        canonical.encode(value)


def test_encode_refuses_more_than_a_bundle_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "MAX_BYTES", 100)
    assert len(canonical.encode({"a": "x" * 92})) == 100
    with pytest.raises(BundleTooLarge, match="101 bytes"):
        canonical.encode({"a": "x" * 93})
