"""Reading the one kind of ZIP that bundles are packed in, strictly.

Members are stored, so no member can inflate; they follow one another in a fixed order, so none
can be hidden, doubled or smuggled in. Whatever lies between and behind them is left to the
comparison with the rebuilt file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

LOCAL_HEADER = b"PK\x03\x04"
# After the mark: version, flags, method, time, date, CRC-32, packed and real size, name and extra.
_FIELDS = struct.Struct("<HHHHHIIIHH")
_HEADER_BYTES = len(LOCAL_HEADER) + _FIELDS.size


class NotAsPacked(Exception):
    """The file is not a ZIP as bundles are packed; the message says where."""


def unpack(data: bytes, *, names: Sequence[str]) -> dict[str, bytes]:
    """The members by name. Raises NotAsPacked at the first that is not as it should be."""
    members: dict[str, bytes] = {}
    offset = 0
    for name in names:
        if data[offset : offset + 4] != LOCAL_HEADER or len(data) < offset + _HEADER_BYTES:
            raise NotAsPacked(f"Member {name} should begin at byte {offset} of the ZIP.")
        fields = _FIELDS.unpack_from(data, offset + 4)
        flags, method, crc, packed, size, name_bytes, extra = (
            fields[1],
            fields[2],
            *fields[5:],
        )
        start = offset + _HEADER_BYTES + name_bytes + extra
        found = data[offset + _HEADER_BYTES : offset + _HEADER_BYTES + name_bytes]
        if found != name.encode():
            shown = found[:100].decode("utf-8", "backslashreplace")
            raise NotAsPacked(f"Member {name} should begin at byte {offset}, not {shown!r}.")
        if flags or method or extra or packed != size:
            raise NotAsPacked(f"Member {name} is not plainly stored (header at byte {offset}).")
        content = data[start : start + size]
        if len(content) != size:
            raise NotAsPacked(f"Member {name} is cut off after {len(content)} of {size} bytes.")
        if zlib.crc32(content) != crc:
            raise NotAsPacked(f"Member {name} does not have the CRC-32 that its header states.")
        members[name] = content
        offset = start + size
    return members


def member_at(data: bytes, offset: int, *, names: Sequence[str]) -> str | None:
    """The member in whose header or content ``offset`` of a well-packed ZIP lies, or None."""
    end = 0
    for name, content in unpack(data, names=names).items():
        end += _HEADER_BYTES + len(name.encode()) + len(content)
        if offset < end:
            return name
    return None
