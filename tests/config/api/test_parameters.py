from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from config.api import parameters
from config.errors import Invalid
from tests.config.api.urls import KeyParameters

UUID_TEXT = "0190a5f0-0000-7000-8000-000000000001"


def read(query: str) -> dict[str, Any]:
    return KeyParameters.read(QueryDict(query))


def refusals(query: str) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        read(query)
    return {error.pointer: error.detail for error in refused.value.errors}


def test_read_defaults() -> None:
    assert read("") == {"page_size": 20, "ordering": "-created_at"}


def test_read_every_kind() -> None:
    assert read(
        "name=a&name=b&kind=b&number=9&flag=false&since=2026-01-31T12:00:00%2B02:00"
        f"&run={UUID_TEXT}&tz=Europe/Berlin&ordering=last_used_at&page_size=100&cursor=x"
        "&as_of=2026-01-31T12:00:00Z"
    ) == {
        "name": ["a", "b"],
        "kind": "b",
        "number": 9,
        "flag": False,
        "since": datetime(2026, 1, 31, 10, tzinfo=UTC),
        "run": UUID(UUID_TEXT),
        "tz": zoneinfo.ZoneInfo("Europe/Berlin"),
        "ordering": "last_used_at",
        "page_size": 100,
        "cursor": "x",
        "as_of": datetime(2026, 1, 31, 12, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("nope=1", "nope"),
        ("format=json", "format"),
        ("kind=a&kind=a", "kind"),
        ("kind=", "kind"),
        ("kind=A", "kind"),
        ("name=", "name"),
        ("name=a&name=" + "x" * 21, "name"),
        ("name=%00", "name"),
        ("number=0", "number"),
        ("number=10", "number"),
        ("number=1.0", "number"),
        ("number=+1", "number"),
        ("number=%2B1", "number"),
        ("number=1_0", "number"),
        ("number=%D9%A1", "number"),
        ("number=1%0A", "number"),
        ("number=" + "9" * 5000, "number"),
        ("flag=1", "flag"),
        ("flag=True", "flag"),
        ("flag=", "flag"),
        ("since=2026-01-31", "since"),
        ("since=2026-01-31T12:00:00", "since"),
        ("run=1", "run"),
        ("run=" + UUID_TEXT.replace("-", ""), "run"),
        ("tz=Mars/Base", "tz"),
        ("tz=../etc/passwd", "tz"),
        ("tz=", "tz"),
        ("ordering=id", "ordering"),
        ("ordering=--name", "ordering"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("page_size=-1", "page_size"),
        ("cursor=", "cursor"),
        ("as_of=yesterday", "as_of"),
    ],
)
def test_read_refused_by_name(query: str, name: str) -> None:
    assert list(refusals(query)) == [f"/{name}"]


def test_read_names_every_parameter() -> None:
    assert set(refusals("x=1&number=a&kind=a&kind=b&tz=x")) == {"/x", "/number", "/kind", "/tz"}


def test_read_plus_that_became_a_space() -> None:
    hint = refusals("since=2026-01-31T12:00:00+02:00")["/since"]
    assert "%2B" in hint


def test_read_too_many_repetitions() -> None:
    assert list(refusals("&".join(["name=a"] * 101))) == ["/name"]


@given(st.dictionaries(st.sampled_from([*KeyParameters().fields]), st.text(max_size=30)))
def test_read_any_text_without_another_error(given_values: dict[str, str]) -> None:
    query = QueryDict(mutable=True)
    query.update(given_values)
    try:
        values = KeyParameters.read(query)
    except Invalid as refused:
        named = {error.pointer.removeprefix("/") for error in refused.errors}
        assert named <= given_values.keys()
    else:
        assert 1 <= values["page_size"] <= 100


def test_refuse_all() -> None:
    parameters.refuse_all(QueryDict(""))
    with pytest.raises(Invalid) as refused:
        parameters.refuse_all(QueryDict("a=1&b=2&a=3"))
    assert [error.pointer for error in refused.value.errors] == ["/a", "/b"]
