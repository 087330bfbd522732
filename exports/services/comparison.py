"""Where a bundle that was changed differs from the one that is kept."""

from __future__ import annotations

from typing import Any


def first_difference(given: Any, kept: Any) -> str | None:
    """The JSON pointer of the first place, in the order of names, where two trees of plain JSON
    values differ; None when they are equal.

    What only one of them has is named by its own place.
    """
    if isinstance(given, dict) and isinstance(kept, dict):
        for name in sorted({*given, *kept}):
            if name not in given or name not in kept:
                return _token(name)
            found = first_difference(given[name], kept[name])
            if found is not None:
                return _token(name) + found
        return None
    if isinstance(given, list) and isinstance(kept, list):
        for number, (one, other) in enumerate(zip(given, kept, strict=False)):
            found = first_difference(one, other)
            if found is not None:
                return f"/{number}{found}"
        shorter = min(len(given), len(kept))
        return None if len(given) == len(kept) else f"/{shorter}"
    # To Python, true is 1.
    return None if given == kept and type(given) is type(kept) else ""


def _token(name: str) -> str:
    return f"/{name.replace('~', '~0').replace('/', '~1')}"
