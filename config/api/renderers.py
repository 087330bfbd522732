"""Writing answers: JSON by msgspec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework.renderers import BaseRenderer


def _encode_other(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode = msgspec.json.Encoder(
    enc_hook=_encode_other, decimal_format="string", uuid_format="canonical"
).encode


def encode(data: Any) -> bytes:
    """The JSON of an answer: aware times as RFC 3339 (``Z`` for UTC), decimals as strings."""
    return _encode(data)


class JSONRenderer(BaseRenderer):
    """``application/json`` in UTF-8."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else _encode(data)
