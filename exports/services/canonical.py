"""The one byte form of a bundle: RFC 8785 (JSON Canonicalization Scheme).

A bundle holds strings, integers, booleans, null, lists and objects, nothing else. Money and every
other fraction is a string: a float has no place in a document that is hashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import rfc8785

from config.errors import FieldError
from exports.errors import BundleTooLarge, NotCanonical

LARGEST_INTEGER = 2**53 - 1
# Enough for 10,000 steps with a page of content each; far from what a download can bear.
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64

# Sorts keys by code point and escapes as RFC 8785 does. The RFC sorts by UTF-16 code unit, which
# differs only for keys beyond the basic plane; those take the slow road.
_encoder = msgspec.json.Encoder(order="sorted")


def encode(value: Mapping[str, Any]) -> bytes:
    """The canonical UTF-8 bytes of ``value``, a tree of plain JSON values.

    Raises NotCanonical, naming the first value at fault by its JSON pointer, and BundleTooLarge
    beyond MAX_BYTES.
    """
    try:
        encoded = _encoder.encode(value)
        keys = _check(value)
    except (TypeError, ValueError, RecursionError, _Unfit):
        raise NotCanonical([_first_fault(value)]) from None
    if len(encoded) > MAX_BYTES:
        raise BundleTooLarge(
            f"The bundle takes {len(encoded):,} bytes; at most {MAX_BYTES:,} are allowed."
        )
    if keys and max(keys) > "\uffff":
        return rfc8785.dumps(value)
    return encoded


class _Unfit(Exception):
    """Some value is not plain JSON; a second look says which."""


def _check(root: Any) -> set[str]:
    """All keys of the tree, once every value is known to be plain; raises _Unfit."""
    keys: set[str] = set()
    level: list[Any] = [[root]]
    for _ in range(MAX_DEPTH + 2):
        deeper: list[Any] = []
        for container in level:
            if type(container) is dict:
                keys.update(container)
                values: Any = container.values()
            else:
                values = container
            for value in values:
                kind = type(value)
                if kind is str or value is None or kind is bool:
                    continue
                if kind is int:
                    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
                        raise _Unfit
                elif kind is dict or kind is list:
                    deeper.append(value)
                else:
                    raise _Unfit
        if not deeper:
            break
        level = deeper
    else:
        raise _Unfit
    if any(type(key) is not str for key in keys):
        raise _Unfit
    return keys


def _first_fault(root: Any) -> FieldError:
    """Where the first value is that cannot be encoded, in document order, and why."""
    pending: list[tuple[str, int, Any]] = [("", 0, root)]
    while pending:
        pointer, depth, value = pending.pop()
        fault = _fault(value, depth)
        if fault:
            return FieldError(pointer, fault)
        if type(value) is dict:
            for key in value:
                if type(key) is not str:
                    return FieldError(pointer, f"has a key that is not a string: {key!r}")
                if not _encodable(key):
                    return FieldError(pointer, f"has a key with a lone surrogate: {key!r}")
            children = [(_join(pointer, key), depth + 1, value[key]) for key in value]
            pending.extend(reversed(children))
        elif type(value) is list:
            children = [(f"{pointer}/{i}", depth + 1, item) for i, item in enumerate(value)]
            pending.extend(reversed(children))
    return FieldError("", "cannot be written as canonical JSON")


def _fault(value: Any, depth: int) -> str | None:
    kind = type(value)
    if depth > MAX_DEPTH and kind in (dict, list):
        return f"is nested more than {MAX_DEPTH} levels deep"
    if kind is str:
        return None if _encodable(value) else "has a lone surrogate"
    if kind is int:
        fits = -LARGEST_INTEGER <= value <= LARGEST_INTEGER
        return None if fits else "is an integer beyond 2^53-1"
    if kind is float:
        return "is a floating-point number; write it as a string"
    if value is None or kind in (bool, dict, list):
        return None
    return f"is not a plain JSON value but {kind.__name__}"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _join(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
