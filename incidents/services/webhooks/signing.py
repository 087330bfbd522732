"""Signatures by the Standard Webhooks specification, which receivers have libraries for.

``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256, with the secret's bytes, over
``<webhook-id>.<webhook-timestamp>.<body>``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """``whsec_`` and the base64 of 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(*, secret: str, id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The three headers that name, date and sign a delivery sent at this moment."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((id.encode(), timestamp.encode(), body))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
