"""Fields of request and answer bodies: nothing is coerced, everything has a bound.

They read values that came out of :mod:`config.api.strictjson`.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.api import values
from config.api.strictjson import MAX_INTEGER

MAX_OBJECT_BYTES: Final = 16 * 1024


class StrictChar(serializers.CharField):
    """A string of ``min_length`` (1) to ``max_length`` characters, kept exactly as it came."""

    default_error_messages = {"invalid": "must be a string"}

    def __init__(self, *, max_length: int, min_length: int = 1, **options: Any) -> None:
        options.setdefault("allow_blank", min_length == 0)
        options.setdefault("trim_whitespace", False)
        super().__init__(max_length=max_length, min_length=min_length or None, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # Before the base class asks whether it is blank, which compares and strips.
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class StrictList(serializers.ListField):
    """A list whose length is looked at before its items, so that refusing a long one is cheap."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if self.max_length is not None and isinstance(data, list) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        items: list[Any] = super().to_internal_value(data)
        return items


class _Pattern(serializers.CharField):
    """A string that matches an expression from end to end."""

    expression: re.Pattern[str]
    detail: str

    def __init__(self, **options: Any) -> None:
        options.setdefault("trim_whitespace", False)
        super().__init__(**options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None:
            if not isinstance(data, str) or not self.expression.fullmatch(data):
                raise serializers.ValidationError(self.detail, code="invalid")
            return data
        return super().run_validation(data)


@extend_schema_field({"type": "string", "pattern": f"^{values.IDENTIFIER.pattern}$"})
class Identifier(_Pattern):
    """An identifier that a caller chose, 1 to 128 characters."""

    expression = values.IDENTIFIER
    detail = values.IDENTIFIER_DETAIL


@extend_schema_field({"type": "string", "pattern": f"^{values.RUN_ID.pattern}$"})
class RunIdentifier(_Pattern):
    """As :class:`Identifier`, without ``/``, because it stands in addresses."""

    expression = values.RUN_ID
    detail = values.RUN_ID_DETAIL


@extend_schema_field({"type": "string", "pattern": f"^{values.SLUG.pattern}$"})
class Slug50(_Pattern):
    """A trigger type or a category."""

    expression = values.SLUG
    detail = values.SLUG_DETAIL


@extend_schema_field({"type": "string", "pattern": r"^-?[0-9]{1,26}(\.[0-9]{1,4})?$"})
class Money(serializers.Field):
    """Cents as a decimal string, a :class:`~decimal.Decimal` inside; answered with four places."""

    default_error_messages = {"invalid": values.MONEY_DETAIL}

    def __init__(self, *, signed: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.signed = signed
        self.reads = f"^{(values.SIGNED_MONEY if signed else values.MONEY).pattern}$"
        if signed:
            self.error_messages["invalid"] = values.SIGNED_MONEY_DETAIL

    def to_internal_value(self, data: Any) -> Decimal:
        try:
            return values.parse_money(data, signed=self.signed)
        except (TypeError, ValueError):
            self.fail("invalid")

    def to_representation(self, value: Decimal) -> str:
        return values.format_money(value)


@extend_schema_field(
    {
        "type": "string",
        "format": "date-time",
        "pattern": r"^(19[7-9]|[2-9][0-9]{2})[0-9]-",
        "description": "Of the years 1970 to 9999, with an offset.",
    }
)
class Timestamp(serializers.DateTimeField):
    """An RFC 3339 time with an offset, as an aware datetime in UTC; answered with ``Z``."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise serializers.ValidationError(values.TIMESTAMP_DETAIL, code="invalid")
        try:
            return values.parse_timestamp(value)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None

    def to_representation(self, value: datetime) -> str:
        return values.format_timestamp(value)


class StrictInteger(serializers.IntegerField):
    """A JSON integer within its bounds; no boolean, no string.

    A number without a fraction is one, however it is written: 2.0 and 2e0 are 2, as JSON Schema
    has it.
    """

    default_error_messages = {"invalid": "must be an integer"}

    def __init__(self, *, min_value: int = 0, max_value: int = MAX_INTEGER, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is float and data.is_integer():
            return int(data)
        if type(data) is not int:
            self.fail("invalid")
        return data


class Number(serializers.FloatField):
    """A finite JSON number within its bounds, as a float; no boolean, no string."""

    default_error_messages = {"invalid": "must be a number"}

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float):
            self.fail("invalid")
        try:
            number = float(data)
        except OverflowError:
            self.fail("invalid")
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class StrictBoolean(serializers.BooleanField):
    """JSON true or false, nothing that resembles them."""

    default_error_messages = {"invalid": "must be true or false"}
    # The base class takes null for a missing value only where null is allowed.
    NULL_VALUES: set[Any] = set()

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictChoice(serializers.ChoiceField):
    """One of a few strings, exactly."""

    default_error_messages = {"invalid_choice": "must be one of {choices}"}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(map(str, self.choices)))
        return data


class Uuid(serializers.UUIDField):
    """A UUID in its canonical form of 36 characters."""

    default_error_messages = {"invalid": "must be a UUID"}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or not values.UUID_TEXT.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class JsonObject(serializers.DictField):
    """A JSON object of at most ``max_bytes`` (16 KiB) in compact UTF-8."""

    default_error_messages = {
        "not_a_dict": "must be a JSON object",
        "too_large": "must be at most {limit} bytes as compact JSON",
    }

    def __init__(self, *, max_bytes: int = MAX_OBJECT_BYTES, **options: Any) -> None:
        super().__init__(**options)
        self.max_bytes = max_bytes

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        if len(msgspec.json.encode(data)) > self.max_bytes:
            self.fail("too_large", limit=self.max_bytes)
        return data

    def to_representation(self, value: Any) -> Any:
        return value
