"""What tenancy refuses."""

from __future__ import annotations

from config.errors import Conflict, FirebreakError, NotFound


class KeyRefused(FirebreakError):
    """The presented key is unknown, expired or revoked; which of them is not told."""

    code = "invalid_key"
    detail = "The API key is not valid."


class KeyNotFound(NotFound):
    """No key has this prefix."""

    code = "key_not_found"
    detail = "There is no key with this prefix."


class IdempotencyConflict(Conflict):
    """The Idempotency-Key was already used for another request."""

    code = "idempotency_conflict"
    detail = "This Idempotency-Key was already used with another body or for another path."
