"""What went wrong in a span, by our codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from incidents.enums import FailureType
from incidents.senders import fitting
from incidents.senders.genai.names import (
    ERROR_TYPE,
    EXCEPTION_MESSAGE,
    EXCEPTION_TYPE,
    LANGFUSE_LEVEL,
    LANGFUSE_MESSAGE,
)


@dataclass(slots=True)
class Trouble:
    """What went wrong in a span: the kind of error (a class or a code) and its message."""

    error_type: str | None
    message: str | None


def trouble(
    attributes: Mapping[str, Any], *, failed: bool, message: str, exceptions: list[dict[str, Any]]
) -> Trouble | None:
    """What went wrong in a span; None when nothing did.

    A span is in trouble by its status, by an exception event, and by Langfuse's level.
    """
    if not failed and not exceptions and attributes.get(LANGFUSE_LEVEL) != "ERROR":
        return None
    # The last exception is the one that ended the span, if any did.
    exception = exceptions[-1] if exceptions else {}
    kind = fitting.text(attributes.get(ERROR_TYPE), 200)
    return Trouble(
        error_type=fitting.text(exception.get(EXCEPTION_TYPE), 200)
        if kind in (None, "_OTHER")
        else kind,
        message=fitting.text(message)
        or fitting.text(attributes.get(LANGFUSE_MESSAGE))
        or fitting.text(exception.get(EXCEPTION_MESSAGE)),
    )


# The kinds of error that have a code of ours, by what their names have in common.
_CODES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("EXECUTION_TIMEOUT", re.compile(r"time.?d?.?out|deadline.?exceeded|^(408|504)$", re.I)),
    (
        "RATE_LIMIT_EXCEEDED",
        re.compile(r"rate.?limit|too.?many.?requests|throttl|quota|^429$", re.I),
    ),
    ("BUDGET_EXCEEDED", re.compile(r"budget", re.I)),
    ("CANCELLED", re.compile(r"cancell?ed|^499$", re.I)),
    ("MANUAL_STOP", re.compile(r"keyboard.?interrupt|sigint", re.I)),
    (
        "RESOURCE_EXHAUSTION",
        re.compile(r"memory.?error|out.?of.?memory|resource.?exhausted", re.I),
    ),
    ("RETRY_EXHAUSTED", re.compile(r"retry.?error|retries.?exceeded|max.?retries", re.I)),
)
_INVALID_OUTPUT: Final = re.compile(
    r"valid|pars(er|ing)|json.?decode|unexpected.?model.?behaviou?r", re.I
)


def error_code(error_type: str | None) -> str:
    """Our code for a kind of error; the kind itself when we have none for it."""
    if error_type is None:
        return "UNKNOWN"
    return next((code for code, names in _CODES if names.search(error_type)), error_type)


def failure_type(error_type: str | None) -> FailureType:
    """What sort of failure a kind of error is."""
    if error_code(error_type) == "EXECUTION_TIMEOUT":
        return FailureType.TIMEOUT
    if error_type is not None and _INVALID_OUTPUT.search(error_type):
        return FailureType.INVALID_OUTPUT
    return FailureType.EXCEPTION
