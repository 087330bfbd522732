"""The errors that services raise: a subject crossed with a kind.

A kind says what went wrong in terms every caller shares (not found, invalid, conflict,
forbidden); ``config.api.problems`` is the one place that turns kinds into HTTP status codes.
An app's own ``errors`` module subclasses a kind and fixes its ``code``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class FirebreakError(Exception):
    """Anything that a caller did, or asked for, that Firebreak refuses.

    ``code`` is stable and meant for programs; ``detail`` is one sentence for a person.
    """

    code = "error"
    detail = "The request was refused."

    def __init__(self, detail: str | None = None, *, code: str | None = None) -> None:
        self.detail = detail or self.detail
        self.code = code or self.code
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with an input: where (a JSON pointer, RFC 6901) and what."""

    pointer: str
    detail: str


class Invalid(FirebreakError):
    """The input breaks a rule; ``errors`` says which, and where."""

    code = "invalid"
    detail = "The input is not valid."

    def __init__(
        self,
        errors: Sequence[FieldError] = (),
        detail: str | None = None,
        *,
        code: str | None = None,
    ) -> None:
        self.errors = tuple(errors)
        if detail is None and self.errors:
            first = self.errors[0]
            detail = f"{first.pointer}: {first.detail}" if first.pointer else first.detail
        super().__init__(detail, code=code)

    @classmethod
    def field(cls, pointer: str, detail: str) -> Invalid:
        """The refusal of one field, named by its JSON pointer."""
        return cls([FieldError(pointer, detail)])


class NotFound(FirebreakError):
    """There is no such thing, or it belongs to another tenant: the two look the same."""

    code = "not_found"
    detail = "Not found."


class Conflict(FirebreakError):
    """The request is well formed but the present state forbids it."""

    code = "conflict"
    detail = "The present state does not allow this."


class InvalidTransition(Conflict):
    """A state machine has no such arrow; the detail names both states."""

    code = "invalid_transition"


class Forbidden(FirebreakError):
    """The caller is known but may not do this."""

    code = "forbidden"
    detail = "You may not do this."


class TooLarge(FirebreakError):
    """The body, or what it inflates to, is over the limit."""

    code = "too_large"
    detail = "The body is too large."


class UnsupportedMediaType(FirebreakError):
    """The body is of a media type that this endpoint does not read."""

    code = "unsupported_media_type"
    detail = "This media type is not supported."


class RateLimited(FirebreakError):
    """The tenant asks for more than its limit; ``retry_after`` says in how many seconds to."""

    code = "rate_limited"

    def __init__(self, *, limit: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"The limit is {limit} requests a minute; retry in {retry_after} s.")


class Unavailable(FirebreakError):
    """What is needed to answer cannot be reached now; the same request may succeed later."""

    code = "unavailable"
    detail = "The database cannot answer now. Repeat the request."
