"""Requests of OTLP in protobuf, walked span by span: a small body can hold millions of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from config.api.strictjson import MAX_DEPTH
from config.errors import Invalid, TooLarge
from incidents.senders.otlp.spans import (
    EXCEPTION,
    MAX_SPAN_BYTES,
    MAX_SPANS,
    SERVICE,
    TOO_LARGE,
    Attributes,
    Decoded,
    Span,
    Wanted,
    keep,
    moment,
    refusal_of,
    too_deep,
    too_many,
)

_STATUS_OK: Final = trace_pb2.Status.STATUS_CODE_OK
_STATUS_ERROR: Final = trace_pb2.Status.STATUS_CODE_ERROR


def decode(data: bytes, wanted: Wanted, latest: int) -> Decoded:
    """The spans of a request, none of which ended after ``latest``; Invalid or TooLarge."""
    try:
        return _decode(data, wanted, latest)
    except (DecodeError, _Malformed):
        raise Invalid.field(
            "", "the body is not an ExportTraceServiceRequest: its bytes are malformed"
        ) from None


class _Malformed(Exception):
    """The outer messages of a request do not follow protobuf's wire format."""


_LENGTH_DELIMITED: Final = 2
_FIXED: Final = {1: 8, 5: 4}
# Field numbers of the three outer messages.
_RESOURCE_SPANS: Final = 1
_RESOURCE: Final = 1
_SCOPE_SPANS: Final = 2
_SPANS: Final = 2


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _Malformed


def _messages(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number, beginning and end of every length-delimited field; the others are skipped."""
    at = start
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = _varint(data, at - 1, end)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            if at < end and (length := data[at]) < 0x80:
                at += 1
            else:
                length, at = _varint(data, at, end)
            if length > end - at:
                raise _Malformed
            yield tag >> 3, at, at + length
            at += length
        elif kind == 0:
            _, at = _varint(data, at, end)
        elif kind in _FIXED:
            at += _FIXED[kind]
            if at > end:
                raise _Malformed
        else:
            raise _Malformed  # groups, which no message here has


def _decode(data: bytes, wanted: Wanted, latest: int) -> Decoded:
    decoded = Decoded()
    view = memoryview(data)
    count = 0
    for number, start, end in _messages(view, 0, len(data)):
        if number != _RESOURCE_SPANS:
            continue
        scopes = []
        service: str | None = None
        for inner, first, last in _messages(view, start, end):
            if inner == _RESOURCE:
                if last - first > MAX_SPAN_BYTES:
                    raise TooLarge(f"A resource is over {MAX_SPAN_BYTES} bytes.")
                service = _service(Resource.FromString(bytes(view[first:last])))
            elif inner == _SCOPE_SPANS:
                scopes.append((first, last))
        for first, last in scopes:
            for inner, begin, stop in _messages(view, first, last):
                if inner != _SPANS:
                    continue
                count += 1
                if count > MAX_SPANS:
                    raise too_many()
                if stop - begin > MAX_SPAN_BYTES:
                    decoded.reject(TOO_LARGE)
                    continue
                keep(decoded, _span(bytes(view[begin:stop]), service, wanted, latest))
    return decoded


def _service(resource: Resource) -> str | None:
    for attribute in resource.attributes:
        if attribute.key == SERVICE and attribute.value.WhichOneof("value") == "string_value":
            return str(attribute.value.string_value)
    return None


def _span(data: bytes, service: str | None, wanted: Wanted, latest: int) -> Span | str:
    span = trace_pb2.Span.FromString(data)
    started, ended = span.start_time_unix_nano, span.end_time_unix_nano
    trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
    if reason := refusal_of(trace_id, span_id, parent_id, started, ended, latest):
        return reason
    exceptions: list[Attributes] = []
    events: list[tuple[str, Attributes]] = []
    for event in span.events:
        if event.name == EXCEPTION:
            exceptions.append(_attributes(event.attributes, wanted))
        elif wanted.events:
            events.append((event.name, _attributes(event.attributes, wanted)))
    status = span.status
    return Span(
        trace_id=trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=parent_id.hex() if any(parent_id) else "",
        name=span.name,
        started_at=moment(started),
        ended_at=moment(ended),
        duration_ms=(ended - started) // 1_000_000,
        failed=status.code == _STATUS_ERROR,
        succeeded=status.code == _STATUS_OK,
        message=status.message,
        attributes=_attributes(span.attributes, wanted),
        exceptions=exceptions,
        events=events,
        service=service,
    )


def _attributes(attributes: Any, wanted: Wanted) -> Attributes:
    names, prefixes = wanted.names, wanted.prefixes
    found: Attributes = {}
    attribute: KeyValue
    for attribute in attributes:
        name = attribute.key
        if name in names or (prefixes and name.startswith(prefixes)):
            value = attribute.value
            # What is set and not empty, without asking what is set; what is not reads as empty.
            found[name] = value.string_value or value.int_value or _value(value)
    return found


def _value(value: AnyValue, room: int = MAX_DEPTH) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value" or kind == "kvlist_value":
        if not room:
            raise too_deep()
        if kind == "array_value":
            return [_value(item, room - 1) for item in value.array_value.values]
        return {item.key: _value(item.value, room - 1) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)
