"""The parts that pages are made of: what the templates know how to set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

from exports.services.presentation.text import BREAK, Exact
from exports.services.wording import count

Tone = Literal["critical", "high", "medium", "low", "good", "bad", "neutral"]


class Badge(TypedDict):
    """A word on a colour; the word alone says it."""

    badge: str
    tone: Tone


class Mono(TypedDict):
    """A hash or an identifier."""

    mono: str


class Lines(TypedDict):
    """Several cells below one another; the first as ever, the others smaller."""

    lines: list[str | Mono]


class Wide(TypedDict):
    """The only cell of a row that says more of the row above it."""

    wide: str


Cell = str | Badge | Mono | Lines | Wide


class Column(TypedDict):
    """``width`` in millimetres, or in shares of what is left when negative."""

    name: str
    width: float
    align: Literal["left", "right"]


class Table(TypedDict):
    columns: list[Column]
    rows: list[list[Cell]]
    marked: list[int]


class Section(TypedDict):
    """``text`` is set above the table; ``empty`` in its place when there are no rows.

    ``lead`` and ``said`` are a verdict and its reason, ``note`` says what is left out. A
    ``whole`` section is short enough to stay on one page.
    """

    title: str
    level: int
    text: list[str]
    table: Table | None
    empty: str
    note: NotRequired[str]
    lead: NotRequired[Badge]
    said: NotRequired[str]
    whole: bool


class Fact(TypedDict):
    label: str
    value: Cell


# What a person reads through; the attached JSON has all of it, and the page says so.
MOST_ROWS = 200
# A text in a table is cut beyond this many characters.
EXCERPT = 420
# A section of so many rows and characters surely fits on one page.
_SHORT_ROWS = 6
_SHORT_TEXT = 1_200

_TONES: dict[str, Tone] = {
    "critical": "critical",
    "high": "high",
    "medium": "medium",
    "low": "low",
    "open": "bad",
    "acknowledged": "medium",
    "resolved": "good",
    "demonstrated": "good",
    "partial": "medium",
    "no_evidence": "bad",
    "not_applicable": "neutral",
    "succeeded": "good",
    "failed": "bad",
    "halted": "bad",
    "aborted": "bad",
    "passed": "good",
    "yes": "good",
    "no": "bad",
}


def badge(word: str) -> Badge:
    """One of our own words, on the colour that it has everywhere."""
    return {"badge": word.replace("_", " "), "tone": _TONES.get(word, "neutral")}


def verdict(word: str) -> Cell:
    """A caller's word: a badge if it is one of ours too, else as it is."""
    return badge(word) if word in _TONES else word


def exact(text: str) -> Mono:
    """A hash or an id of ours, of known length, set without places to break."""
    return {"mono": Exact(text)}


def identifier(text: str) -> Mono:
    """A name that a caller chose."""
    return {"mono": text}


def lines(*parts: str | Mono | None) -> Lines:
    """The parts that are there, below one another."""
    return {"lines": [part for part in parts if part]}


def column(name: str, width: float, align: Literal["left", "right"] = "left") -> Column:
    return {"name": name, "width": width, "align": align}


def section(
    title: str,
    *,
    columns: Sequence[Column] = (),
    rows: Sequence[list[Cell]] = (),
    marked: Sequence[int] = (),
    text: Sequence[str] = (),
    empty: str = "",
    note: str = "",
    lead: Badge | None = None,
    said: str = "",
    level: int = 1,
) -> Section:
    """A section of one table, or of text alone when no columns are given."""
    made: Section = {
        "title": title,
        "level": level,
        "text": list(text),
        "table": {"columns": list(columns), "rows": list(rows), "marked": list(marked)}
        if rows
        else None,
        "empty": "" if rows else empty,
        "whole": len(rows) <= _SHORT_ROWS and _length([*text, *rows]) <= _SHORT_TEXT,
    }
    if note:
        made["note"] = note
    if lead:
        made["lead"], made["said"] = lead, said
    return made


def fact(label: str, value: Cell) -> Fact:
    return {"label": label, "value": value}


def dash(value: object) -> str:
    """The value in words, or a dash when there is none."""
    if value is None or value == "":
        return "—"
    return number(f"{value:,}") if isinstance(value, int) else str(value)


def number(digits: str) -> str:
    """A number in groups of digits, with places to break when it is a long one."""
    return digits.replace(",", f",{BREAK}") if len(digits) > 9 else digits


def _length(cells: Sequence[object]) -> int:
    """How many characters there are in a tree of cells."""
    total = 0
    for cell in cells:
        if isinstance(cell, str):
            total += len(cell)
        elif isinstance(cell, dict):
            total += _length(list(cell.values()))
        elif isinstance(cell, list):
            total += _length(cell)
    return total


def pairs(figures: Sequence[tuple[str, str]]) -> list[list[Cell]]:
    """Names and figures two to a row, read down the left half first; for ``PAIRED`` columns."""
    half = -(-len(figures) // 2)
    filled = [*figures, ("", "")][: 2 * half]
    return [[*one, *other] for one, other in zip(filled[:half], filled[half:], strict=True)]


PAIRED = (column("Figure", 46), column("Found", -1), column("Figure", 46), column("Found", -1))


def left_out(total: int, noun: str) -> str:
    """What a note says of the rows that a table leaves out."""
    if total <= MOST_ROWS:
        return ""
    return f"{count(total - MOST_ROWS, f'further {noun}')} can be read in the attached JSON."
