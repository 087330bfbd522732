"""Pages by keyset: a cursor holds the place of a row, so depth and new rows change nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import F, Q
from django.utils.encoding import escape_uri_path
from rest_framework.pagination import BasePagination
from rest_framework.request import Request

from config.api import values
from config.errors import Invalid

_BAD_CURSOR: Final = "is not a cursor of this list"


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its rows in order, and the URLs of its neighbours, None where there are none."""

    rows: list[Any]
    next: str | None
    previous: str | None

    def answer(self, results: Sequence[Any]) -> dict[str, Any]:
        """The body of the answer, with the rows as they were serialized."""
        return {"next": self.next, "previous": self.previous, "results": results}


def paginate(
    queryset: models.QuerySet[Any],
    *,
    request: Request,
    page_size: int,
    cursor: str | None,
    ordering: str | Sequence[str] = "-created_at",
) -> Page:
    """The page of a queryset that a cursor names, or the first.

    ``ordering`` names fields or annotations, each with ``-`` to descend; one name alone is made
    total by the primary key in the same direction, several must be total. Rows may be objects
    or dictionaries and must hold every ordering column. Nulls come last either way. One query of
    ``page_size + 1`` rows, no count. Invalid, naming ``/cursor``, for a cursor that is not one.
    """
    columns = columns_of(queryset, ordering)

    def fetch(place: Place | None, limit: int) -> list[Any]:
        backward = place is not None and place.backward
        found = queryset if place is None else queryset.filter(_beyond(columns, place))
        return list(found.order_by(*(column.order(backward) for column in columns))[:limit])

    return turn(fetch, columns=columns, request=request, page_size=page_size, cursor=cursor)


def turn(
    fetch: Callable[[Place | None, int], list[Any]],
    *,
    columns: Sequence[Column],
    request: Request,
    page_size: int,
    cursor: str | None,
) -> Page:
    """The page that a cursor names, or the first, of a list that ``fetch`` reads.

    It is given the place to begin beyond (None: the beginning) and how many rows at most;
    backward it answers them in reverse. Rows must hold every one of ``columns``. Invalid, naming
    ``/cursor``, for a cursor that is not one.
    """
    place = Place.decode(cursor, columns) if cursor is not None else None
    backward = place is not None and place.backward
    rows = fetch(place, page_size + 1)
    more = len(rows) > page_size
    rows = rows[:page_size]
    if backward:
        rows.reverse()

    def link(row: Any, towards_previous: bool) -> str:
        return Place(towards_previous, [column.of(row) for column in columns]).link(
            request, columns
        )

    has_next = bool(rows) and (more or backward)
    has_previous = bool(rows) and (more if backward else place is not None)
    return Page(
        rows=rows,
        next=link(rows[-1], False) if has_next else None,
        previous=link(rows[0], True) if has_previous else None,
    )


class CursorPagination(BasePagination):
    """Documents the form of a list; the work is :func:`paginate`, called with checked values."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[Any]:
        # Lists declare them, see config.api.parameters.ListParameters.
        return []


@dataclass(frozen=True, slots=True)
class Column:
    """One of the columns that a list is ordered by."""

    name: str
    descending: bool
    nullable: bool
    read: Callable[[Any], Any]

    def of(self, row: Any) -> Any:
        return row[self.name] if isinstance(row, dict) else getattr(row, self.name)

    def order(self, backward: bool) -> Any:
        # A plain direction where there are no nulls: "nulls last" would miss a plain index.
        descending = self.descending != backward
        nulls: dict[str, bool] = {}
        if self.nullable:
            nulls = {"nulls_first": True} if backward else {"nulls_last": True}
        column = F(self.name)
        return column.desc(**nulls) if descending else column.asc(**nulls)

    def beyond(self, value: Any, backward: bool) -> Q | None:
        """The rows that come strictly after a value in this direction; None: there are none."""
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if backward else None
        operator = "lt" if self.descending != backward else "gt"
        condition = Q(**{f"{self.name}__{operator}": value})
        if self.nullable and not backward:
            condition |= Q(**{f"{self.name}__isnull": True})
        return condition

    def same(self, value: Any) -> Q:
        if value is None:
            return Q(**{f"{self.name}__isnull": True})
        return Q(**{self.name: value})


def _beyond(columns: Sequence[Column], place: Place) -> Q:
    """The rows after a place: beyond in the first column, or the same there and then beyond..."""
    condition = Q(pk__in=[])
    for column, value in reversed(list(zip(columns, place.values, strict=True))):
        condition = column.same(value) & condition
        if (beyond := column.beyond(value, place.backward)) is not None:
            condition |= beyond
    first, value = columns[0], place.values[0]
    if value is not None and (not first.nullable or place.backward):
        # Says nothing new, but gives an index on the first column where to start.
        operator = "lte" if first.descending != place.backward else "gte"
        condition = Q(**{f"{first.name}__{operator}": value}) & condition
    return condition


def columns_of(queryset: models.QuerySet[Any], ordering: str | Sequence[str]) -> list[Column]:
    """The columns of an ordering, as :func:`paginate` takes it."""
    if isinstance(ordering, str):
        sign = "-" if ordering.startswith("-") else ""
        ordering = (ordering, f"{sign}{queryset.model._meta.pk.name}")
    return [_column(queryset, name.removeprefix("-"), name.startswith("-")) for name in ordering]


def _column(queryset: models.QuerySet[Any], name: str, descending: bool) -> Column:
    annotation = queryset.query.annotations.get(name)
    if annotation is not None:
        field = annotation.output_field
        nullable = True
    else:
        try:
            field = queryset.model._meta.get_field(name)
        except FieldDoesNotExist:
            raise LookupError(f"{queryset.model.__name__} cannot be ordered by {name}") from None
        nullable = bool(field.null)
    return Column(name, descending, nullable, _reader(field))


@dataclass(frozen=True, slots=True)
class Place:
    """The ordering values of a row, and which way to go from it."""

    backward: bool
    values: list[Any]

    def link(self, request: Request, columns: Sequence[Column]) -> str:
        query = request.query_params.copy()
        query["cursor"] = self._encode(columns)
        return request.build_absolute_uri(f"{escape_uri_path(request.path)}?{query.urlencode()}")

    def _encode(self, columns: Sequence[Column]) -> str:
        content = [_signature(columns), self.backward, [_writable(value) for value in self.values]]
        return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, columns: Sequence[Column]) -> Place:
        """The place that a cursor names. A caller may forge one; its types are checked."""
        try:
            padded = text + "=" * (-len(text) % 4)
            signature, backward, written = _decode_content(
                base64.b64decode(padded, altchars=b"-_", validate=True)
            )
            if signature != _signature(columns) or len(written) != len(columns):
                raise Invalid.field("/cursor", "belongs to another ordering of this list")
            return cls(
                backward,
                [_read(column, value) for column, value in zip(columns, written, strict=True)],
            )
        except (binascii.Error, msgspec.MsgspecError, ArithmeticError, ValueError, TypeError):
            raise Invalid.field("/cursor", _BAD_CURSOR) from None


_decode_content = msgspec.json.Decoder(
    tuple[str, bool, list[str | int | float | bool | None]]
).decode


def _signature(columns: Sequence[Column]) -> str:
    return ",".join(f"{'-' if column.descending else ''}{column.name}" for column in columns)


def _read(column: Column, value: Any) -> Any:
    if value is None and column.nullable:
        return None
    return column.read(value)


def _writable(value: Any) -> Any:
    if isinstance(value, datetime):
        return values.format_timestamp(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    return value


def _reader(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    """What turns a value of a cursor into one of this field, or raises ValueError."""
    return next((read for kind, read in _READERS if isinstance(field, kind)), _read_text)


def _read_text(value: Any) -> str:
    if type(value) is not str or "\0" in value:
        raise ValueError
    return value


def _read_integer(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _read_boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _read_float(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError
    return float(value)


def _read_decimal(value: Any) -> Decimal:
    number = Decimal(_read_text(value))
    if not number.is_finite() or len(value) > 40 or abs(number.adjusted()) > 40:
        raise ValueError
    return number


def _read_uuid(value: Any) -> UUID:
    return UUID(_read_text(value))


def _read_bytes(value: Any) -> bytes:
    return bytes.fromhex(_read_text(value))


def _read_timestamp(value: Any) -> datetime:
    return values.parse_timestamp(_read_text(value))


_READERS: Final[tuple[tuple[type[models.Field[Any, Any]], Callable[[Any], Any]], ...]] = (
    (models.DateTimeField, _read_timestamp),
    (models.UUIDField, _read_uuid),
    (models.DecimalField, _read_decimal),
    (models.BooleanField, _read_boolean),
    (models.FloatField, _read_float),
    (models.IntegerField, _read_integer),
    (models.BinaryField, _read_bytes),
)
