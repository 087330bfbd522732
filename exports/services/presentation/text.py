"""Making any text fit for the page: only characters that can be drawn, no word without a break.

The exact text is in the JSON; here it is for reading. What cannot be drawn, and what would
reorder or hide its neighbours, is shown as its code point: ``[U+202E]``.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

from exports.services import fonts

BREAK = "\u200b"
# Longer words get places to break, unless their column says otherwise.
LONGEST_WORD = 22
# So few of the widest letters fit everywhere.
_CHUNK = 4
# A letter in a table, on average, with some to spare; and what a cell keeps free on both sides.
_LETTER_MM, _INSET_MM = 1.9, 3.0

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Invisible, and without effect once the character they follow is drawn as it is.
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
# Format characters that text in some scripts needs to be read; the rest of their kind could
# show a reader something else than what is there.
_NEEDED_FORMAT = "\u00ad\u200b\u200c\u200d\u2060"
# Beside Latin letters that are one character each, the marks, arrows and signs that stand alone.
_INTRICATE = re.compile("[^\0-\u02af\u1e00-\u1eff\u2000-\u20cf\u2100-\u2bff]")


class Exact(str):
    """A text of known length and alphabet, such as a hash, that is set as it is."""

    __slots__ = ()


def clean(text: str, *, longest: int = LONGEST_WORD) -> str:
    """``text`` as it can be set. Line ends stay, as line feeds.

    Words of more than ``longest`` characters may be broken anywhere.
    """
    if type(text) is Exact or (len(text) <= longest and text.isascii() and text.isprintable()):
        return text
    text = _SELECTORS.sub("", _LINE_ENDS.sub("\n", text)).replace("\t", "    ")
    text = _undrawable().sub(_code_point, text)
    return _word_over(longest).sub(_with_breaks, text)


def clean_all(value: Any, *, longest: int = LONGEST_WORD) -> Any:
    """Every text in a tree of lists and objects, cleaned; keys are ours and stay.

    The columns of a table have their own measure of what is a long word.
    """
    if isinstance(value, str):
        return clean(value, longest=longest)
    if isinstance(value, dict):
        if "rows" in value and "columns" in value:
            fit = [_fits(column["width"]) for column in value["columns"]]
            rows = [
                [clean_all(cell, longest=long) for cell, long in zip(row, fit, strict=True)]
                if len(row) == len(fit)
                else clean_all(row)
                for row in value["rows"]
            ]
            return value | {"rows": rows}
        return {key: clean_all(item, longest=longest) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_all(item, longest=longest) for item in value]
    return value


def _fits(width: float) -> int:
    """How long a word fits a column of so many millimetres; shares of the rest are wide."""
    return LONGEST_WORD if width < 0 else max(_CHUNK, int((width - _INSET_MM) / _LETTER_MM))


def unknown_characters(value: Any) -> int:
    """How many different characters of a tree are shown as code points instead."""
    found: set[str] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if not item.isascii() or not item.isprintable():
                found.update(_undrawable().findall(_LINE_ENDS.sub("\n", _SELECTORS.sub("", item))))
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return len(found)


def is_intricate(text: str) -> bool:
    """Whether some character may change its shape or place by what stands beside it."""
    return _INTRICATE.search(text) is not None


@functools.cache
def _word_over(longest: int) -> re.Pattern[str]:
    return re.compile(rf"[^\s{BREAK}]{{{longest + 1},}}")


@functools.cache
def _undrawable() -> re.Pattern[str]:
    points = {point for point in fonts.drawable() if _shows_itself(point)}
    gaps: list[str] = []
    previous = -1
    for point in [*sorted(points | {ord("\n"), ord("\t")}), 0x110000]:
        if point > previous + 1:
            gaps.append(f"{re.escape(chr(previous + 1))}-{re.escape(chr(point - 1))}")
        previous = point
    return re.compile(f"[{''.join(gaps)}]")


def _shows_itself(point: int) -> bool:
    character = chr(point)
    category = unicodedata.category(character)
    if category == "Cf":
        return character in _NEEDED_FORMAT
    return category not in ("Cc", "Cs", "Co", "Cn")


def _code_point(match: re.Match[str]) -> str:
    return f"[U+{ord(match.group()):04X}]"


def _with_breaks(match: re.Match[str]) -> str:
    """The word with a place to break after every few characters, never inside one."""
    word = match.group()
    parts: list[str] = []
    start = 0
    while start < len(word):
        end = start + _CHUNK
        while end < len(word) and _joins(word[end - 1], word[end]):
            end += 1
        parts.append(word[start:end])
        start = end
    return BREAK.join(parts)


def _joins(before: str, after: str) -> bool:
    if after == "\u200d" or before == "\u200d":
        return True
    return unicodedata.category(after).startswith("M")
