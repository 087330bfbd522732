"""OTLP/HTTP, the protocol of OpenTelemetry: traces as protobuf or JSON, and the answers to them.

What is read of a span is in :class:`Span`; which attributes those are is the caller's to say, so
that a prompt which is not wanted is never even decoded.
"""

from __future__ import annotations

from datetime import datetime

from incidents.senders.otlp import protobuf, text
from incidents.senders.otlp.answers import answer, refusal
from incidents.senders.otlp.spans import (
    JSON,
    MAX_SPAN_BYTES,
    MAX_SPANS,
    PROTOBUF,
    Attributes,
    Decoded,
    Encoding,
    Span,
    Wanted,
    nanoseconds,
)
from incidents.services.reports import MAX_AHEAD

__all__ = [
    "JSON",
    "MAX_SPANS",
    "MAX_SPAN_BYTES",
    "PROTOBUF",
    "Attributes",
    "Decoded",
    "Encoding",
    "Span",
    "Wanted",
    "answer",
    "decode",
    "refusal",
]


def decode(data: bytes, *, encoding: Encoding, wanted: Wanted, at: datetime) -> Decoded:
    """The spans of an ExportTraceServiceRequest.

    Invalid when it is not one, TooLarge when it holds more than 20,000 spans; a span that breaks
    a rule of its own (its ids, its times, its size) is rejected by itself.
    """
    read = protobuf.decode if encoding == PROTOBUF else text.decode
    return read(data, wanted, nanoseconds(at + MAX_AHEAD))
