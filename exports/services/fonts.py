"""The fonts that PDFs are set in, and the characters that they can draw.

Only the fonts shipped here are used, so that a bundle looks the same wherever it is made.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "fonts"
# The one the pages are set in, and the one that fills in for it.
TEXT_FONTS = ("Inter-Regular.otf", "DejaVuSans.ttf")


@functools.cache
def drawable() -> frozenset[int]:
    """The code points for which the fonts have a glyph."""
    points: set[int] = set()
    for name in TEXT_FONTS:
        points.update(_mapped((DIRECTORY / name).read_bytes()))
    return frozenset(points)


def _mapped(font: bytes) -> Iterator[int]:
    """The code points in the character map of an OpenType font."""
    cmap = _table(font, b"cmap")
    (count,) = struct.unpack_from(">H", font, cmap + 2)
    for index in range(count):
        (offset,) = struct.unpack_from(">I", font, cmap + 4 + 8 * index + 4)
        start = cmap + offset
        (kind,) = struct.unpack_from(">H", font, start)
        if kind == 12:
            (groups,) = struct.unpack_from(">I", font, start + 12)
            body = font[start + 16 : start + 16 + 12 * groups]
            for first, last, _ in struct.iter_unpack(">III", body):
                yield from range(first, last + 1)
            return
    raise ValueError("the font has no character map of format 12")


def _table(font: bytes, tag: bytes) -> int:
    (count,) = struct.unpack_from(">H", font, 4)
    for index in range(count):
        name, _, offset, _ = struct.unpack_from(">4sIII", font, 12 + 16 * index)
        if name == tag:
            return int(offset)
    raise ValueError(f"the font has no table {tag!r}")
