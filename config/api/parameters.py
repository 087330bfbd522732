"""Query parameters: declared, strict, and named when they are refused (by the pointer ``/name``).

Declare a subclass of :class:`Parameters` with the fields of this module, or of
:class:`ListParameters` where the answer is a list of pages.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.http import QueryDict
from rest_framework import serializers

from config.api import fields, problems, strictjson
from config.api.serializers import shared
from config.errors import FieldError, Invalid

DEFAULT_PAGE_SIZE: Final = 20
MAX_PAGE_SIZE: Final = 100

_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")
_SPACED_OFFSET: Final = re.compile(r".*[0-9] [0-9]{2}:[0-9]{2}")


class Integer(serializers.IntegerField):
    """A decimal integer of at most 15 digits, within its bounds."""

    def to_internal_value(self, data: Any) -> int:
        if not _INTEGER.fullmatch(data):
            raise serializers.ValidationError("must be an integer")
        return int(data)


class Boolean(serializers.BooleanField):
    """``true`` or ``false``."""

    NULL_VALUES: set[Any] = set()

    def __init__(self, **options: Any) -> None:
        # Unlike the base class, a parameter that is not given is not false.
        options.setdefault("required", False)
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            raise serializers.ValidationError("must be true or false")
        return bool(data == "true")


class Timestamp(fields.Timestamp):
    """As in a body; a ``+`` that was not escaped gets a hint."""

    def to_internal_value(self, value: Any) -> datetime:
        if _SPACED_OFFSET.fullmatch(value):
            raise serializers.ValidationError(
                "has a space where its offset begins: write the '+' as %2B, or use Z"
            )
        return super().to_internal_value(value)


class TimeZone(serializers.CharField):
    """The name of an IANA time zone, as a :class:`zoneinfo.ZoneInfo`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> Any:
        if data not in _time_zones():
            raise serializers.ValidationError("must be the name of an IANA time zone")
        return zoneinfo.ZoneInfo(data)


@cache
def _time_zones() -> frozenset[str]:
    # Some systems have a file of this name for the zone that the machine is in.
    return frozenset(zoneinfo.available_timezones() - {"localtime"})


Text = fields.StrictChar
Identifier = fields.Identifier
RunIdentifier = fields.RunIdentifier
Slug50 = fields.Slug50
Choice = fields.StrictChoice
Uuid = fields.Uuid


class Repeated(fields.StrictList):
    """A parameter that may be given more than once; a list of what ``child`` reads."""

    def __init__(self, child: serializers.Field, **options: Any) -> None:
        options.setdefault("max_length", 100)
        super().__init__(child=child, **options)


class Ordering(fields.StrictChoice):
    """``ordering``: one of some columns, each also with ``-``; the answer is that string."""

    def __init__(self, columns: Sequence[str], **options: Any) -> None:
        options.setdefault("default", "-created_at")
        super().__init__([f"{sign}{column}" for column in columns for sign in ("", "-")], **options)


class Parameters(serializers.Serializer):
    """The query parameters of one operation; ``read`` turns a query into their values."""

    @classmethod
    def read(cls, query: QueryDict) -> dict[str, Any]:
        """The values of declared parameters, defaults included.

        Invalid, naming every one, for what is unknown, repeated without being
        :class:`Repeated`, or of a wrong form.
        """
        reader = shared(cls)
        given: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, texts in query.lists():
            field = reader.fields.get(name)
            if field is None:
                errors.append(FieldError(strictjson.pointer(name), "is not a known parameter"))
            elif any("\0" in text for text in texts):
                errors.append(FieldError(strictjson.pointer(name), "contains U+0000"))
            elif isinstance(field, Repeated):
                given[name] = texts
            elif len(texts) > 1:
                errors.append(FieldError(strictjson.pointer(name), "is given more than once"))
            else:
                given[name] = texts[0]
        named = {error.pointer for error in errors}
        validated: dict[str, Any] = {}
        try:
            validated = reader.run_validation(given)
        except serializers.ValidationError as error:
            for found in problems.invalid(error).errors:
                # The place of a repeated value is the parameter, not an index of it.
                pointer = "/".join(found.pointer.split("/")[:2])
                if pointer not in named:
                    errors.append(FieldError(pointer, found.detail))
        if errors:
            raise Invalid(errors)
        return validated


class ListParameters(Parameters):
    """What every list takes: its pages, and the moment that it should be seen from."""

    page_size = Integer(min_value=1, max_value=MAX_PAGE_SIZE, default=DEFAULT_PAGE_SIZE)
    cursor = Text(max_length=4000, required=False, help_text="From `next` or `previous`.")
    as_of = Timestamp(required=False, help_text="Hides what has a `created_at` later than this.")


def refuse_all(query: QueryDict) -> None:
    """For an operation that takes no parameters: Invalid naming each that was given."""
    if query:
        raise Invalid(
            [FieldError(strictjson.pointer(name), "is not a known parameter") for name in query]
        )
