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
from collections.abc import Iterator
from itertools import islice
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
        what = error.msg[:1].lower() + error.msg[1:]
        detail = f"is not valid JSON at line {error.lineno}, column {error.colno}: {what}"
        raise Invalid.field("", detail) from None
    except RecursionError:
        return _DeepParser(text).value()


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
    # A stack instead of recursion: the value may be deeper than Python's own.
    pending: list[tuple[Any, str, int]] = [(root, "", 1)]
    while pending:
        value, place, depth = pending.pop()
        if isinstance(value, str):
            if detail := _text_problem(value):
                yield FieldError(place, detail)
        elif isinstance(value, bool) or value is None:
            continue
        elif isinstance(value, int):
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                yield FieldError(place, "is an integer beyond 2^53-1")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield FieldError(place, "is not a finite number")
        elif isinstance(value, (dict, list)):
            if depth > MAX_DEPTH:
                yield FieldError(place, f"is nested deeper than {MAX_DEPTH} levels")
                continue
            if repeated_keys and isinstance(value, RepeatedKeys):
                for key in value.repeated:
                    yield FieldError(place + pointer(key), "is given more than once")
            if isinstance(value, dict):
                for key in value:
                    if detail := _text_problem(key):
                        yield FieldError(place + pointer(key), f"has a key that {detail}")
            children = value.items() if isinstance(value, dict) else enumerate(value)
            pending.extend(
                (child, place + pointer(token), depth + 1)
                # Backwards, so that the stack gives them in their order.
                for token, child in reversed(list(children))
                if type(child) is not str or _text_problem(child)
            )


def _text_problem(text: str) -> str | None:
    if "\0" in text:
        return "contains U+0000"
    if not text.isascii() and _SURROGATE.search(text):
        return "contains a lone surrogate"
    return None


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNSENDABLE: Final = re.compile("[\0\ud800-\udfff]")


_BLANK: Final = re.compile(r"[ \t\n\r]*")


class _DeepParser:
    """Reads a text that is nested too deep for the standard parser, without recursion.

    Scalars go through the standard parser, so both agree on everything but depth.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def value(self) -> Any:
        """The value of the whole text; Invalid where it is malformed."""
        # Each open container: its pairs or items, and for an object the key that waits.
        open_containers: list[tuple[str, list[Any], str | None]] = []
        while True:
            mark = self._peek()
            if mark in ("{", "["):
                self._at += 1
                closing = "}" if mark == "{" else "]"
                if self._peek() == closing:
                    self._at += 1
                    done: Any = {} if mark == "{" else []
                else:
                    key = self._key() if mark == "{" else None
                    open_containers.append((closing, [], key))
                    continue
            else:
                done = self._scalar()
            while open_containers:
                closing, items, key = open_containers.pop()
                items.append(done if key is None else (key, done))
                mark = self._peek()
                self._at += 1
                if mark == ",":
                    next_key = self._key() if closing == "}" else None
                    open_containers.append((closing, items, next_key))
                    break
                if mark != closing:
                    self._at -= 1
                    raise self._malformed(f"expecting ',' or '{closing}'")
                done = _object(items) if closing == "}" else items
            else:
                if self._peek():
                    raise self._malformed("extra data")
                return done

    def _peek(self) -> str:
        if blank := _BLANK.match(self._text, self._at):
            self._at = blank.end()
        return self._text[self._at : self._at + 1]

    def _key(self) -> str:
        if self._peek() != '"':
            raise self._malformed("expecting property name enclosed in double quotes")
        key: str = self._scalar()
        if self._peek() != ":":
            raise self._malformed("expecting ':' delimiter")
        self._at += 1
        return key

    def _scalar(self) -> Any:
        try:
            value, self._at = _lenient.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise self._malformed(error.msg[:1].lower() + error.msg[1:]) from None
        return value

    def _malformed(self, what: str) -> Invalid:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - self._text.rfind("\n", 0, self._at)
        return Invalid.field("", f"is not valid JSON at line {line}, column {column}: {what}")
