from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from config.api import fields, renderers, values

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=offsets))
def test_parse_timestamp_of_any_moment(moment: datetime) -> None:
    parsed = values.parse_timestamp(moment.isoformat())
    assert parsed == moment
    assert parsed.tzinfo is UTC
    assert values.parse_timestamp(values.format_timestamp(moment)) == moment


@given(st.text("0123456789-:TtZz+. ", max_size=40))
def test_parse_timestamp_any_text(text: str) -> None:
    try:
        parsed = values.parse_timestamp(text)
    except ValueError:
        return
    assert 1970 <= parsed.year <= 9999


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00+00:00"),
        ("2026-01-31T12:00:00.5+02:00", "2026-01-31T10:00:00.500000+00:00"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456+00:00"),
        ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_parse_timestamp(text: str, iso: str) -> None:
    assert values.parse_timestamp(text).isoformat() == iso


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00Z\n",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+02:60",
        "2026-01-31T12:00:00+0200",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00+23:00",
        "10000-01-01T00:00:00Z",
        "1769860800",
    ],
)
def test_parse_timestamp_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not"):
        values.parse_timestamp(text)


def test_parse_timestamp_naive_is_told_so() -> None:
    with pytest.raises(ValueError, match="offset"):
        values.parse_timestamp("2026-01-31T12:00:00")


@pytest.mark.parametrize("text", ["0", "000000000000.0000", "999999999999.9999", "1.5"])
def test_parse_money(text: str) -> None:
    assert values.parse_money(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", ".5", "1.", "1.00000", "1000000000000", "1e3", "NaN", "1\n", "\u0661", " 1"],
)
def test_parse_money_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal string"):
        values.parse_money(text)


def test_parse_money_signed() -> None:
    assert values.parse_money("-1.25", signed=True) == Decimal("-1.25")
    with pytest.raises(ValueError, match="decimal string"):
        values.parse_money("--1", signed=True)


@pytest.mark.parametrize(
    ("cents", "text"), [("0", "0.0000"), ("1E+3", "1000.0000"), ("999999999999.9999",) * 2]
)
def test_format_money(cents: str, text: str) -> None:
    assert values.format_money(Decimal(cents)) == text


uuid = UUID("bebf5d6b-c486-46ef-baef-31535197ab88")
ACCEPTED = [
    (fields.StrictChar(max_length=3), "a\n ", "a\n "),
    (fields.StrictChar(max_length=3, min_length=0), "", ""),
    (fields.Identifier(), "aZ0._:@/+=-" + "x" * 117, "aZ0._:@/+=-" + "x" * 117),
    (fields.RunIdentifier(), "run:1", "run:1"),
    (fields.Slug50(), "llm_failure.v-2", "llm_failure.v-2"),
    (fields.Money(), "12.5", Decimal("12.5")),
    (fields.Money(signed=True), "-12.5", Decimal("-12.5")),
    (fields.StrictInteger(max_value=5), 5, 5),
    (fields.StrictInteger(max_value=5), 5.0, 5),
    (fields.StrictInteger(), 2.0**52, 2**52),
    (fields.StrictInteger(), 2**53 - 1, 2**53 - 1),
    (fields.StrictInteger(min_value=-1), -1, -1),
    (fields.Number(min_value=0, max_value=1), 0.5, 0.5),
    (fields.Number(min_value=0, max_value=1), 1, 1.0),
    (fields.StrictBoolean(), False, False),
    (fields.StrictBoolean(allow_null=True), None, None),
    (fields.StrictChoice(["low", "high"]), "low", "low"),
    (fields.Uuid(), str(uuid), uuid),
    (fields.JsonObject(), {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    (fields.Identifier(allow_null=True), None, None),
]


@pytest.mark.parametrize(("field", "data", "value"), ACCEPTED)
def test_field_accepts(field: fields.serializers.Field, data: object, value: object) -> None:
    accepted = field.run_validation(data)
    assert accepted == value
    assert type(accepted) is type(value)


REFUSED = [
    *[
        (fields.StrictChar(max_length=3), data)
        for data in (1, True, 1.0, None, "", "abcd", [], {}, "\0")
    ],
    *[
        (fields.Identifier(), data)
        for data in ("", "x" * 129, "a b", "a\n", "é", 1, True, None, [], {}, "\0")
    ],
    *[(fields.RunIdentifier(), data) for data in ("a/b", "", "a\n", 7)],
    *[(fields.Slug50(), data) for data in ("A", "a" * 51, "", "a\n", 1, {})],
    *[(fields.Money(), data) for data in (1, 1.5, "-1", "1\n", "", None, True, [], {}, "1e5")],
    *[(fields.StrictInteger(max_value=5), data) for data in (6, -1, True, 1.5, 6.0, "1", None, [])],
    *[(fields.StrictInteger(), data) for data in (2**53, 10**30, 2.0**53, 1e300)],
    *[
        (fields.Number(min_value=0, max_value=1), data)
        for data in (1.1, -1, True, "0.5", None, float("nan"), float("inf"), 10**400)
    ],
    *[(fields.StrictBoolean(), data) for data in (0, 1, "true", "", None, [], "null")],
    *[(fields.StrictBoolean(allow_null=True), data) for data in ("null", "", 0)],
    *[(fields.StrictChoice(["low"]), data) for data in ("LOW", "", None, 1, [], {}, True)],
    *[
        (fields.Uuid(), data)
        for data in (uuid.hex, f"{{{uuid}}}", f"urn:uuid:{uuid}", f"{uuid}\n", 1, None, [])
    ],
    *[(fields.Timestamp(), data) for data in (1, "", None, True, [], "2026-01-01T00:00:00")],
    *[(fields.JsonObject(), data) for data in ([], "{}", 1, None, True, {"a": "x" * 16_377})],
]


@pytest.mark.parametrize(("field", "data"), REFUSED)
def test_field_refuses(field: fields.serializers.Field, data: object) -> None:
    with pytest.raises(ValidationError):
        field.run_validation(data)


def test_json_object_limit_counts_compact_utf8() -> None:
    field = fields.JsonObject()
    assert field.run_validation({"a": "é" * 8_188})
    with pytest.raises(ValidationError):
        field.run_validation({"a": "é" * 8_188 + "x"})


def test_timestamp_is_answered_in_utc() -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    assert fields.Timestamp().to_representation(moment) == "2026-01-31T10:00:00.000001Z"


def test_encode_answers() -> None:
    answer = {
        "id": UUID(int=1),
        "at": datetime(2026, 1, 31, tzinfo=UTC),
        "cents": Decimal("1.5000"),
        "lazy": (letter for letter in "ab"),
    }
    assert renderers.encode(answer) == (
        b'{"id":"00000000-0000-0000-0000-000000000001","at":"2026-01-31T00:00:00Z",'
        b'"cents":"1.5000","lazy":["a","b"]}'
    )
