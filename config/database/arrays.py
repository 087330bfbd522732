"""PostgreSQL array parameters in the binary format, packed a column at a time.

A batch of reports goes to the database as one array for each column. psycopg adapts lists one
element at a time in Python; packing a whole column with ``struct`` and ``bytes.join`` is several
times faster, and on this path that is most of the client's work. The layout is that of
``array_send`` in PostgreSQL's ``arrayfuncs.c``: dimensions, null flag, element oid, length, lower
bound, then each element behind its length (-1 for null).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_HEADER = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_LENGTH_8 = _LENGTH.pack(8)
_LENGTH_16 = _LENGTH.pack(16)
_NULL = _LENGTH.pack(-1)

# Microseconds from the Unix epoch to PostgreSQL's own, 2000-01-01.
_POSTGRES_EPOCH = 946_684_800_000_000


class UuidArray(bytes):
    """A packed ``uuid[]``."""


class TextArray(bytes):
    """A packed ``text[]``."""


class BigintArray(bytes):
    """A packed ``bigint[]``."""


class TimestamptzArray(bytes):
    """A packed ``timestamptz[]``."""


PACKED = (UuidArray, TextArray, BigintArray, TimestamptzArray)


def _header(element_oid: int, length: int, *, has_null: bool = False) -> bytes:
    return _HEADER.pack(1, int(has_null), element_oid, length, 1)


def uuids(values: Sequence[bytes | None]) -> UuidArray:
    """``uuid[]`` of 16-byte values; None is null."""
    head = _header(2950, len(values), has_null=None in values)
    if None in values:
        return UuidArray(head + b"".join(_NULL if v is None else _LENGTH_16 + v for v in values))
    return UuidArray(head + _LENGTH_16 + _LENGTH_16.join(values) if values else head)  # type: ignore[arg-type]


def sequential_uuids(first: bytes, count: int) -> UuidArray:
    """``uuid[]`` of ``count`` ids that share the first 8 bytes of ``first`` and count up."""
    high, low = _LENGTH_16 + first[:8], int.from_bytes(first[8:])
    arguments: list[bytes | int] = [high] * (2 * count)
    arguments[1::2] = range(low, low + count)
    return UuidArray(_header(2950, count) + struct.pack(">" + "12sQ" * count, *arguments))


def bigints(values: Sequence[int]) -> BigintArray:
    """``bigint[]`` without nulls."""
    return BigintArray(_header(20, len(values)) + _eights(values))


def timestamps(values: Sequence[int]) -> TimestamptzArray:
    """``timestamptz[]`` of microseconds since the Unix epoch, without nulls."""
    packed = _eights([value - _POSTGRES_EPOCH for value in values])
    return TimestamptzArray(_header(1184, len(values)) + packed)


def _eights(values: Sequence[int]) -> bytes:
    arguments = [8] * (2 * len(values))
    arguments[1::2] = values
    return struct.pack(">" + "iq" * len(values), *arguments)


def texts(values: Sequence[str | None]) -> TextArray:
    """``text[]``; None is null."""
    has_null = None in values
    if has_null:
        parts = [_NULL if value is None else _counted(value.encode()) for value in values]
    else:
        encoded = [*map(str.encode, values)]  # type: ignore[arg-type]
        # The lengths are few: each is packed once, and no line of Python runs for each value.
        lengths = {length: _LENGTH.pack(length) for length in set(map(len, encoded))}
        parts = [b""] * (2 * len(encoded))
        parts[::2] = map(lengths.__getitem__, map(len, encoded))
        parts[1::2] = encoded
    return TextArray(_header(25, len(values), has_null=has_null) + b"".join(parts))


def _counted(encoded: bytes) -> bytes:
    return _LENGTH.pack(len(encoded)) + encoded


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer | None:
        return obj


class _UuidArrayDumper(_PackedDumper):
    oid = 2951


class _TextArrayDumper(_PackedDumper):
    oid = 1009


class _BigintArrayDumper(_PackedDumper):
    oid = 1016


class _TimestamptzArrayDumper(_PackedDumper):
    oid = 1185


psycopg.adapters.register_dumper(UuidArray, _UuidArrayDumper)
psycopg.adapters.register_dumper(TextArray, _TextArrayDumper)
psycopg.adapters.register_dumper(BigintArray, _BigintArrayDumper)
psycopg.adapters.register_dumper(TimestamptzArray, _TimestamptzArrayDumper)
