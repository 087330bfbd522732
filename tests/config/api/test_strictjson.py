from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.api import strictjson
from config.errors import FieldError, Invalid

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-strictjson.MAX_INTEGER, strictjson.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
sound = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
# What a text can be made of, in any order: mostly nonsense, sometimes JSON.
fragments = st.lists(
    st.sampled_from(
        [
            *"{}[],: \n",
            '"a"',
            '"a\\\\"',
            '"\\":"',
            '"\\u0000"',
            '"\\ud800"',
            '"\\ud83d\\ude00"',
            "1",
            "-0",
            "1e5",
            "1e999",
            "9007199254740992",
            "1" * 5000,
            "NaN",
            "-Infinity",
            "true",
            "null",
            '"a":',
            '"a" :',
            "[" * 40,
            "]" * 40,
        ]
    ),
    max_size=25,
).map("".join)


def refusals(data: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        strictjson.loads(data)
    return [(error.pointer, error.detail) for error in refused.value.errors]


def pointers(data: bytes) -> list[str]:
    return [pointer for pointer, _ in refusals(data)]


@given(sound)
def test_loads_sound_json(value: Any) -> None:
    assert strictjson.loads(json.dumps(value).encode()) == value
    assert strictjson.loads(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(fragments)
@example('{"a\\\\":1,"b":1,"b":2}')
@example('{"a" :1,"a":2}')
@example('{"a":{"\\":":1},"b":1,"b":2}')
def test_loads_agrees_with_the_slow_way(data: str) -> None:
    def slow() -> Any:
        value = strictjson.parse(data.encode())
        strictjson.check(value)
        return value

    def outcome(read: Any) -> Any:
        try:
            return ("value", read())
        except Invalid as error:
            return ("refused", error.errors)

    assert outcome(lambda: strictjson.loads(data.encode())) == outcome(slow)


@given(st.binary(max_size=40))
def test_loads_any_bytes_without_another_error(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        strictjson.loads(data)


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b"9007199254740992", ""),
        (b'{"a": [0, -9007199254740992]}', "/a/1"),
        (b'{"a": {"b/c~d": 1000000000000000000000000}}', "/a/b~1c~0d"),
        (b'{"n": ' + b"7" * 6000 + b"}", "/n"),
    ],
)
def test_loads_integer_beyond_2_53(data: bytes, pointer: str) -> None:
    assert refusals(data) == [(pointer, "is an integer beyond 2^53-1")]


def test_loads_integers_at_the_limit() -> None:
    assert strictjson.loads(b"[9007199254740991, -9007199254740991]") == [2**53 - 1, 1 - 2**53]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
def test_loads_number_that_is_not_finite(number: bytes) -> None:
    assert refusals(b'{"cost": [' + number + b"]}") == [("/cost/0", "is not a finite number")]


def test_loads_nul_in_string_and_key() -> None:
    data = rb'{"a": ["x\u0000"], "\u0000": 1}'
    assert refusals(data) == [
        ("/\ufffd", "has a key that contains U+0000"),
        ("/a/0", "contains U+0000"),
    ]


def test_loads_escaped_backslash_before_u0000() -> None:
    assert strictjson.loads(rb'["\\u0000"]') == ["\\u0000"]


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\udfff", rb"\ude00\ud83d", rb"\ud800A"])
def test_loads_lone_surrogate(escape: bytes) -> None:
    assert refusals(b'{"a": "' + escape + b'"}') == [("/a", "contains a lone surrogate")]


def test_loads_surrogate_pair() -> None:
    assert strictjson.loads(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


def test_loads_nesting_of_32() -> None:
    assert strictjson.loads(b"[" * 32 + b"]" * 32) is not None


@pytest.mark.parametrize("depth", [33, 500, 1_000, 100_000])
def test_loads_nesting_beyond_32(depth: int) -> None:
    data = b'{"a":' * depth + b"1" + b"}" * depth
    assert refusals(data) == [("/a" * 32, "is nested deeper than 32 levels")]


def test_loads_deep_and_malformed() -> None:
    ((pointer, detail),) = refusals(b"[\n" * 5_000)
    assert pointer == ""
    assert "line 5001, column 1" in detail


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"a": 1, "a": 2}', "/a"),
        (b'{"a" : 1, "a": 2}', "/a"),
        (b'[{"x": {"a": 1, "b": 2, "a": 1}}]', "/0/x/a"),
        (rb'{"a\\": 1, "b": 1, "b": 2}', "/b"),
        (rb'{"a": "\":", "b": 1, "b": 2}', "/b"),
    ],
)
def test_loads_repeated_key(data: bytes, pointer: str) -> None:
    assert refusals(data) == [(pointer, "is given more than once")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a": 1,}',
        b"[1 2]",
        b"{'a': 1}",
        b'"a',
        b'"\t"',
        b"01",
        b"+1",
        b"1.",
        b".5",
        b"tru",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"a": 1 /* no */}',
        b"undefined",
    ],
)
def test_loads_malformed(data: bytes) -> None:
    ((pointer, detail),) = refusals(data)
    assert pointer == ""
    assert detail.startswith("is not valid JSON at line 1, column ")


def test_loads_malformed_names_line_and_column() -> None:
    ((_, detail),) = refusals(b'{"a": 1,\n "b": oops}')
    assert "line 2, column 7" in detail


@pytest.mark.parametrize("data", [b'"\xff"', b"\xff", b'"\xed\xa0\x80"', b'"\xc0\x80"'])
def test_loads_invalid_utf8(data: bytes) -> None:
    ((pointer, detail),) = refusals(data)
    assert pointer == ""
    assert detail.startswith("is not valid UTF-8 at byte ")


def test_loads_names_every_bad_place_in_order() -> None:
    data = rb'{"a": NaN, "b": [9007199254740992, "\u0000"], "c": {"d": "\ud800"}}'
    assert pointers(data) == ["/a", "/b/0", "/b/1", "/c/d"]


def test_loads_names_no_more_than_a_hundred_places() -> None:
    assert len(pointers(b"[" + b",".join([b"NaN"] * 500) + b"]")) == strictjson.MAX_ERRORS


def deepened(text: str) -> str:
    """The text as the first of two members of a list, the other nested beyond any parser."""
    return f"[{text},{'[' * 5_000}1{']' * 5_000}]"


@given(fragments)
def test_parse_beside_deep_nesting_reads_as_ever(data: str) -> None:
    def outcome(text: str) -> Any:
        try:
            return strictjson.parse(text.encode())
        except Invalid:
            return "refused"

    alone = outcome(f"[{data},[]]")
    beside = outcome(deepened(data))
    if alone == "refused":
        assert beside == "refused"
    else:
        assert repr(beside[:-1]) == repr(alone[:-1])
        assert [error.detail for error in strictjson.problems(beside[-1])] == [
            "is nested deeper than 32 levels"
        ]


@given(fragments, st.integers(0, 40), st.integers(1_000, 3_000))
def test_problems_of_deep_nesting_are_those_of_any_nesting(
    data: str, outside: int, inside: int
) -> None:
    def found(depth: int) -> list[FieldError] | str:
        text = "[" * outside + f"[{data}," + '{"k":[' * depth + "]}" * depth + "]" * (outside + 1)
        try:
            return strictjson.problems(strictjson.parse(text.encode()))
        except Invalid:
            return "refused"

    assert found(inside) == found(40)


@pytest.mark.parametrize("after", ["oops", "]", '{"a"}', '"'])
def test_parse_names_the_place_behind_deep_nesting(after: str) -> None:
    deep = "[" * 2_000 + "\n" * 7 + "]" * 2_000
    ((_, detail),) = refusals(f"[{deep},\n {after}".encode())
    ((_, plain),) = refusals(f"[{'[' * 20}{chr(10) * 7}{']' * 20},\n {after}".encode())
    assert detail == plain
    assert "line 9, column" in detail


def test_parse_keeps_what_problems_can_name() -> None:
    value = strictjson.parse(b'{"alerts": [{"cost": NaN}, {"a": 1, "a": 2}, {"ok": 1}]}')
    first, second, third = value["alerts"]
    assert [error.pointer for error in strictjson.problems(first)] == ["/cost"]
    assert [error.pointer for error in strictjson.problems(second)] == ["/a"]
    assert strictjson.problems(third) == []


def test_pointer_escapes() -> None:
    assert strictjson.pointer("a/b", 0, "c~d") == "/a~1b/0/c~0d"
    assert strictjson.pointer("\ud800\0") == "/\ufffd\ufffd"
