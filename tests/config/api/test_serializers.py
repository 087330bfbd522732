from __future__ import annotations

from typing import Any

import pytest
from rest_framework import serializers

from config.api.fields import JsonObject, StrictChar, StrictInteger, StrictList
from config.api.serializers import StrictSerializer
from config.errors import Invalid


class Step(StrictSerializer):
    index = StrictInteger()
    tags = serializers.ListField(child=StrictChar(max_length=3), required=False)


class Body(StrictSerializer):
    name = StrictChar(max_length=5)
    steps = Step(many=True, required=False)
    first = Step(required=False, allow_null=True)
    metadata = JsonObject(required=False)
    computed = serializers.CharField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["name"] == "never":
            raise serializers.ValidationError("cannot be")
        return attrs


def refusals(data: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        Body.read(data)
    return {error.pointer: error.detail for error in refused.value.errors}


def test_read() -> None:
    data = {"name": "a", "steps": [{"index": 0, "tags": ["x"]}], "first": None}
    assert Body.read(data) == data


def test_read_is_repeatable() -> None:
    assert refusals({"name": 1}) == refusals({"name": 1})
    assert Body.read({"name": "a"}) == {"name": "a"}


@pytest.mark.parametrize("data", [None, [], "x", 1, True, 1.5])
def test_read_what_is_no_object(data: Any) -> None:
    assert list(refusals(data)) == [""]


def test_read_unknown_fields_by_name() -> None:
    assert refusals({"name": "a", "x/y~z": 1, "": 2}) == {
        "/x~1y~0z": "is not a known field",
        "/": "is not a known field",
    }


def test_read_names_a_hundred_unknown_fields_and_no_more() -> None:
    assert len(refusals({"name": "a", **{f"x{number}": 0 for number in range(5000)}})) == 100


def test_read_long_list_is_refused_before_its_items() -> None:
    class Item(StrictChar):
        def run_validation(self, data: Any = None) -> Any:
            raise AssertionError("nobody should look at it")

    class Few(StrictSerializer):
        tags = StrictList(child=Item(max_length=1), max_length=2)

    with pytest.raises(Invalid) as refused:
        Few.read({"tags": ["a", "b", "c"]})
    assert [error.pointer for error in refused.value.errors] == ["/tags"]


def test_read_read_only_field() -> None:
    assert refusals({"name": "a", "computed": "x"}) == {"/computed": "is not a known field"}


def test_read_names_every_place() -> None:
    data = {
        "name": "too long",
        "steps": [{"index": 0}, {"index": "1", "tags": ["ok", 5]}, 7, {"index": 1, "more": 1}],
        "first": {},
        "metadata": [],
        "other": None,
    }
    assert set(refusals(data)) == {
        "/name",
        "/steps/1/index",
        "/steps/1/tags/1",
        "/steps/2",
        "/steps/3/more",
        "/first/index",
        "/metadata",
        "/other",
    }


def test_read_missing_and_null() -> None:
    assert refusals({"steps": None}).keys() == {"/name", "/steps"}


def test_read_error_of_the_whole() -> None:
    assert refusals({"name": "never"}) == {"": "cannot be"}


def test_is_valid_raises_the_same() -> None:
    with pytest.raises(Invalid) as refused:
        Body(data={"name": "a", "x": 1}).is_valid(raise_exception=True)
    assert [error.pointer for error in refused.value.errors] == ["/x"]
    assert not Body(data={}).is_valid()
