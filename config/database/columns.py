"""Rows sent to PostgreSQL as columns: one INSERT ... SELECT of arrays, whatever their number.

A column whose values are all the same travels once, as a scalar; a column of nulls does not
travel at all. What varies travels as one packed array (see ``config.database.arrays``), and is
unnested where it is selected: from a FROM clause each array would be stored once more on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
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
    is text, uuid, numeric or jsonb. With an ``order``, the rows are those at these places of what
    is added, one after the other.
    """

    def __init__(self, table: str, count: int, *, order: Sequence[int] = ()) -> None:
        self._table = table
        self._count = count
        # Of one place it would give the value, not a row of it; and one row is in order.
        self._arrange = itemgetter(*order) if len(order) > 1 else None
        self._names: list[str] = []
        self._selected: list[str] = []
        self._parameters: list[Any] = []
        self._varies = False

    def copy(self) -> Columns:
        """The same columns, to which more can be added without changing these."""
        other = Columns(self._table, self._count)  # its order comes with the rest
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
        self._parameters.append(value)

    def add(self, name: str, type_: ColumnType, values: Sequence[Any]) -> None:
        """Adds a column with a value for each row."""
        if are_equal(values):
            self.constant(name, type_, values[0])  # in any order
            return
        if self._arrange is not None:
            values = self._arrange(values)
        if type_ == "uuid":
            self.packed(name, arrays.uuids(values), "uuid")
        elif type_ == "timestamptz":
            self.packed(name, arrays.timestamps(values), "timestamptz")
        elif type_ in ("bigint", "smallint"):
            self.packed(name, arrays.bigints(values), "bigint", cast=f"::{type_}")
        elif type_ == "boolean":
            self.packed(name, arrays.bigints(values), "bigint", cast="::int::boolean")
        else:
            self.packed(name, arrays.texts(values), "text", cast=f"::{type_}")

    def packed(self, name: str, array: Any, element: str, *, cast: str = "") -> None:
        """Adds a column that is already packed, and in order, as an array of ``element``."""
        self._names.append(name)
        self._selected.append(f"unnest(%s::{element}[]){cast}")
        self._parameters.append(array)
        self._varies = True

    def insert(self) -> tuple[str, list[Any]]:
        """The INSERT ... SELECT and its parameters, rows in the order given."""
        names, selected = ", ".join(self._names), ", ".join(self._selected)
        statement = f"INSERT INTO {self._table} ({names}) SELECT {selected}"
        if not self._varies and self._count > 1:
            statement += f" FROM generate_series(1, {self._count})"
        return statement, self._parameters.copy()


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
