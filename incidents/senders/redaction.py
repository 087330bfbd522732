"""Taking out of a text what a tenant does not want to keep.

The patterns are RE2's, whose time is linear in the text whatever the pattern: a tenant writes
them, and must not be able to stop a worker with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import re2

from config.errors import FieldError

MAX_PATTERNS: Final = 50
MAX_PATTERN: Final = 500
REPLACEMENT: Final = "[redacted]"

# In force until a tenant names its own: keys, addresses of people, numbers of cards.
DEFAULT_PATTERNS: Final = (
    r"\b(?:sk|pk|rk|ghp|gho|xox[abp]|fb|AKIA)[-_A-Za-z0-9]{16,}\b",
    r"(?i)\bbearer\s+[-A-Za-z0-9._~+/]{16,}=*",
    r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b",
    r"\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,7}\b",
)


def pattern_errors(patterns: Sequence[str], *, pointer: str) -> list[FieldError]:
    """What is wrong with patterns that a tenant names."""
    errors = []
    for index, pattern in enumerate(patterns):
        try:
            _compiled(pattern)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if error.args else "not understood"
            errors.append(FieldError(f"{pointer}/{index}", f"is not a pattern of RE2: {reason}"))
    return errors


class Redactor:
    """Replaces whatever matches one of some patterns by ``[redacted]``."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def text(self, text: str) -> str:
        """The text with every match replaced, pattern by pattern."""
        for pattern in self._patterns:
            text = pattern.sub(REPLACEMENT, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with the same done to all its strings, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return re2.compile(pattern, options)
