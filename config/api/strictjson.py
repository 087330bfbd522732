"""JSON as the contract allows it: what hides in a text is refused by its place, never repaired.

Refused are integers beyond 2^53-1 either way, NaN and the infinities, U+0000, lone surrogates,
nesting beyond 32, repeated keys, and of course what is not JSON or not UTF-8.

:func:`loads` does all of it. :func:`parse` and :func:`problems` are its two halves, for a caller
who accepts the sound parts of a text: the first refuses only what has no structure, the second
names what is wrong in a value.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Final

import msgspec

from config.errors import FieldError, Invalid

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 32
MAX_ERRORS: Final = 100

_decode = msgspec.json.Decoder().decode


def loads(data: bytes) -> Any:
    """The value of a JSON text in UTF-8; Invalid, naming every bad place, if it breaks a rule."""
    try:
        value = _decode(data)
        if _is_clean(data, value):
            return value
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    value = parse(data)
    check(value)
    return value


def check(value: Any) -> None:
    """Raises Invalid, naming every bad place, if a parsed value breaks a rule."""
    if errors := problems(value):
        raise Invalid(errors)


def problems(value: Any, *, repeated_keys: bool = True) -> list[FieldError]:
    """What a parsed value holds that the contract refuses, at most 100 places.

    Pointers are relative to ``value``. Nesting counts from it: itself, if a container, is 1 deep.
    Keys that are given more than once pass when ``repeated_keys`` is false.
    """
    return list(islice(_problems(value, repeated_keys=repeated_keys), MAX_ERRORS))


def pointer(*tokens: str | int) -> str:
    """The JSON pointer (RFC 6901) that goes through these keys and indexes.

    What could not be sent in an answer (U+0000, lone surrogates) stands in it as U+FFFD.
    """
    place = "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for token in tokens)
    return place if place.isascii() and "\0" not in place else _UNSENDABLE.sub("\ufffd", place)


def parse(data: bytes) -> Any:
    """The value of a JSON text, lenient in what :func:`problems` can name afterwards.

    NaN, infinities, lone surrogates, U+0000, repeated keys and any nesting pass. An integer of
    more than 20 digits becomes a stand-in that is too large as well. Malformed text and invalid
    UTF-8 raise Invalid with the place in its detail.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Invalid.field("", f"is not valid UTF-8 at byte {error.start}") from None
    try:
        return _lenient.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error) from None
    except RecursionError:
        pass
    shallow = _Shallow.of(text)
    try:
        return _lenient.decode(shallow.text)
    except json.JSONDecodeError as error:
        raise _malformed(json.JSONDecodeError(error.msg, text, shallow.place(error.pos))) from None


def _malformed(error: json.JSONDecodeError) -> Invalid:
    what = error.msg[:1].lower() + error.msg[1:]
    place = f"line {error.lineno}, column {error.colno}"
    return Invalid.field("", f"is not valid JSON at {place}: {what}")


class RepeatedKeys(dict[str, Any]):
    """An object that named a key more than once; it holds each key's last value."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for key, _ in pairs:
        if key in seen:
            repeated[key] = None
        seen.add(key)
    marked = RepeatedKeys(plain)
    marked.repeated = tuple(repeated)
    return marked


def _integer(digits: str) -> int:
    # int() is quadratic and refuses thousands of digits; that far out only the size matters.
    if len(digits) > 21:
        return -(10**20) if digits[0] == "-" else 10**20
    return int(digits)


_lenient = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


# The fast path has to notice what msgspec lets through. A key that is given twice leaves fewer
# keys in the value than `":` in the text. That count is exact once quotes inside strings (always
# escaped) are taken off, no key ends in a backslash and no blank stands before a colon; the
# second expression finds those.
_NUL_ESCAPE: Final = b"\\u0000"
_BLANK_COLONS: Final = (b" :", b"\n:", b"\t:", b"\r:")
_BLANK_AFTER_KEY: Final = re.compile(rb'"[ \t\r\n]+:')


class _Suspicious(Exception):
    pass


def _is_clean(data: bytes, value: Any) -> bool:
    """Whether a text that msgspec decoded surely breaks no rule; False when in doubt."""
    if _NUL_ESCAPE in data or b'\\\\":' in data:
        return False
    if any(blank in data for blank in _BLANK_COLONS) and _BLANK_AFTER_KEY.search(data):
        return False
    try:
        keys = _count_keys((value,), MAX_DEPTH)
    except _Suspicious:
        return False
    return keys == data.count(b'":') - data.count(b'\\":')


def _count_keys(container: Any, room: int) -> int:
    items: Any = container
    keys = 0
    if type(container) is dict:
        keys = len(container)
        items = container.values()
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise _Suspicious
        elif kind is dict or kind is list:
            if not room:
                raise _Suspicious
            keys += _count_keys(item, room - 1)
    return keys


def _problems(root: Any, *, repeated_keys: bool) -> Iterator[FieldError]:
    if isinstance(root, (dict, list)):
        yield from _problems_within(root, [], repeated_keys=repeated_keys)
    elif detail := _scalar_problem(root):
        yield FieldError("", detail)


def _problems_within(
    container: dict[str, Any] | list[Any], path: list[str | int], *, repeated_keys: bool
) -> Iterator[FieldError]:
    """The problems of a container that lies at ``path``, in the order of its text."""
    if len(path) >= MAX_DEPTH:
        yield FieldError(pointer(*path), f"is nested deeper than {MAX_DEPTH} levels")
        return
    items: Iterable[tuple[str | int, Any]]
    if isinstance(container, dict):
        if repeated_keys and isinstance(container, RepeatedKeys):
            for key in container.repeated:
                yield FieldError(pointer(*path, key), "is given more than once")
        for key in container:
            if detail := _text_problem(key):
                yield FieldError(pointer(*path, key), f"has a key that {detail}")
        items = container.items()
    else:
        items = enumerate(container)
    for token, child in items:
        if isinstance(child, (dict, list)):
            if child or len(path) >= MAX_DEPTH - 1:
                path.append(token)
                yield from _problems_within(child, path, repeated_keys=repeated_keys)
                path.pop()
        elif detail := _scalar_problem(child):
            yield FieldError(pointer(*path, token), detail)


def _scalar_problem(value: Any) -> str | None:
    kind = type(value)
    if kind is str:
        return _text_problem(value)
    if kind is int:
        return None if -MAX_INTEGER <= value <= MAX_INTEGER else "is an integer beyond 2^53-1"
    if kind is float:
        return None if math.isfinite(value) else "is not a finite number"
    return None


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return "contains U+0000"
    if not text.isascii() and _SURROGATE.search(text):
        return "contains a lone surrogate"
    return None


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNSENDABLE: Final = re.compile("[\0\ud800-\udfff]")


# Runs of brackets that open or close, over what lies between: strings, whatever else, and plain
# lists and objects of it. Nothing is tried a second way, so that no text can be slow to read.
_BRACKETS: Final = re.compile(
    r'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"|\[[^"\[\]{}]*+\]|\{[^"\[\]{}]*+\})*+'
    r"([\[{]++|[\]}]++)",
    re.DOTALL,
)


@dataclass(slots=True)
class _Shallow:
    """A text that is nested too deep for the standard parser, with what is too deep cut out.

    What is left is still too deep, also for a caller who looks at a part that lies deep itself.
    """

    text: str
    # Where in it something was cut out, in order, and how much in all up to there.
    cuts: list[tuple[int, int]]

    @classmethod
    def of(cls, text: str) -> _Shallow:
        """Cuts a text; what closes in the parts cut out need not be what opened."""
        deepest = 2 * MAX_DEPTH
        pieces: list[str] = []
        cuts: list[tuple[int, int]] = []
        depth = kept = kept_from = 0
        for run in _BRACKETS.finditer(text):
            start, end = run.span(1)
            opens = text[start] in "[{"
            after = depth + (end - start if opens else start - end)
            if depth < deepest <= after:
                kept_to = start + deepest - depth
                pieces.append(text[kept_from:kept_to])
                kept += kept_to - kept_from
                kept_from = len(text)
            elif after < deepest <= depth:
                kept_from = start + depth - deepest
                cuts.append((kept, kept_from - kept))
            depth = after
        if depth >= deepest:
            cuts.append((kept, len(text) - kept))
        pieces.append(text[kept_from:])
        return cls("".join(pieces), cuts)

    def place(self, at: int) -> int:
        """Where in the whole text a place of this one is."""
        passed = bisect_right(self.cuts, at, key=itemgetter(0))
        return at + (self.cuts[passed - 1][1] if passed else 0)
