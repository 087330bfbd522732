"""Rows sent to PostgreSQL as columns: one INSERT ... SELECT from unnest, whatever their number.

A column whose values are all the same travels once, as a scalar; a column of nulls does not
travel at all. What varies travels as one packed array (see ``config.database.arrays``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from config.database import arrays

ColumnType = Literal[
    "text", "uuid", "timestamptz", "bigint", "smallint", "numeric", "jsonb", "boolean"
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Columns:
    """The columns of some rows of one table, built up a column at a time.

    Values are ``str`` for text, numeric and jsonb, ``bytes`` of 16 for uuid, microseconds since
    the Unix epoch for timestamptz, ``int`` and ``bool`` otherwise; None is null where the type
    is text, uuid, numeric or jsonb.
    """

    def __init__(self, table: str, count: int) -> None:
        self._table = table
        self._count = count
        self._names: list[str] = []
        self._selected: list[str] = []
        self._scalars: list[Any] = []
        self._unnested: list[str] = []
        self._arrays: list[Any] = []

    def copy(self) -> Columns:
        """The same columns, to which more can be added without changing these."""
        other = Columns(self._table, self._count)
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, list) else value)
        return other

    def constant(self, name: str, type_: ColumnType, value: Any) -> None:
        """Adds a column that has ``value`` in every row."""
        self._names.append(name)
        if value is None:
            self._selected.append(f"NULL::{type_}")
            return
        self._selected.append(f"%s::{type_}")
        if type_ == "timestamptz":
            value = moment(value)
        elif type_ == "uuid" and isinstance(value, bytes):
            value = UUID(bytes=value)
        self._scalars.append(value)

    def add(self, name: str, type_: ColumnType, values: Sequence[Any]) -> None:
        """Adds a column with a value for each row."""
        if are_equal(values):
            self.constant(name, type_, values[0])
            return
        column = f"u.c{len(self._unnested)}"
        packed: Any
        if type_ == "uuid":
            packed, sent = arrays.uuids(values), "uuid"
        elif type_ == "timestamptz":
            packed, sent = arrays.timestamps(values), "timestamptz"
        elif type_ in ("bigint", "smallint", "boolean"):
            packed, sent = arrays.bigints([int(value) for value in values]), "bigint"
            if type_ == "boolean":
                column += "::int"
        else:
            packed, sent = arrays.texts(values), "text"
        self.packed(name, packed, sent, selected=column if sent == type_ else f"{column}::{type_}")

    def packed(self, name: str, array: Any, element: str, *, selected: str | None = None) -> None:
        """Adds a column that is already packed as an array of ``element``."""
        self._selected.append(selected or f"u.c{len(self._unnested)}")
        self._names.append(name)
        self._unnested.append(f"%s::{element}[]")
        self._arrays.append(array)

    def insert(self) -> tuple[str, list[Any]]:
        """The INSERT ... SELECT and its parameters, rows in the order given."""
        names, selected = ", ".join(self._names), ", ".join(self._selected)
        statement = f"INSERT INTO {self._table} ({names}) SELECT {selected}"
        if self._unnested:
            columns = ", ".join(f"c{index}" for index in range(len(self._unnested)))
            statement += f" FROM unnest({', '.join(self._unnested)}) AS u({columns})"
        elif self._count > 1:
            statement += f" FROM generate_series(1, {self._count})"
        return statement, [*self._scalars, *self._arrays]


def are_equal(values: Sequence[Any]) -> bool:
    """Whether all values are the same; most columns that are not say so at their ends."""
    first = values[0]
    return bool(first == values[-1]) and values.count(first) == len(values)


def moment(microseconds: int) -> datetime:
    """The time that is so many microseconds after the Unix epoch."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(when: datetime) -> int:
    """Whole microseconds from the Unix epoch to an aware time, exactly."""
    delta = when - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
