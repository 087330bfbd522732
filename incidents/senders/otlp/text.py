"""Requests of OTLP in JSON, whose ids are hex and whose integers may be strings."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from config.api.strictjson import MAX_DEPTH
from config.errors import Invalid
from incidents.senders.otlp.spans import (
    BAD_ID,
    BAD_TIME,
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

# By the specification a number, by senders also a string or the name.
_STATUS_OK: Final = frozenset({1, "1", "STATUS_CODE_OK"})
_STATUS_ERROR: Final = frozenset({2, "2", "STATUS_CODE_ERROR"})
_LAST_NANOSECOND: Final = 2**64 - 1


def decode(data: bytes, wanted: Wanted, latest: int) -> Decoded:
    """The spans of a request, none of which ended after ``latest``; Invalid or TooLarge."""
    try:
        return _decode(data, wanted, latest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid.field("", f"the body is not a request of OTLP in JSON: {error}") from None


class _AnyValue(msgspec.Struct, rename="camel", gc=False):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    bytes_value: str | None = None
    array_value: _Array | None = None
    kvlist_value: _KeyValues | None = None


class _KeyValue(msgspec.Struct, gc=False):
    key: str = ""
    value: _AnyValue | None = None


class _Array(msgspec.Struct, gc=False):
    values: list[_AnyValue] | None = None


class _KeyValues(msgspec.Struct, gc=False):
    values: list[_KeyValue] | None = None


class _Event(msgspec.Struct, gc=False):
    name: str | None = None
    attributes: list[_KeyValue] | None = None


class _Status(msgspec.Struct, gc=False):
    code: int | str | None = None
    message: str | None = None


class _Span(msgspec.Struct, rename="camel", gc=False):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: int | str | None = None
    end_time_unix_nano: int | str | None = None
    attributes: list[_KeyValue] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _Scope(msgspec.Struct, gc=False):
    spans: list[msgspec.Raw] | None = None


class _Resource(msgspec.Struct, gc=False):
    attributes: list[_KeyValue] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_spans: list[_Scope] | None = None


class _Request(msgspec.Struct, rename="camel", gc=False):
    resource_spans: list[_ResourceSpans] | None = None


_request_decoder = msgspec.json.Decoder(_Request)
_span_decoder = msgspec.json.Decoder(_Span)


def _decode(data: bytes, wanted: Wanted, latest: int) -> Decoded:
    decoded = Decoded()
    count = 0
    for group in _request_decoder.decode(data).resource_spans or ():
        attributes = (group.resource and group.resource.attributes) or ()
        services = [a.value for a in attributes if a.key == SERVICE]
        service = services[0].string_value if services and services[0] else None
        for scope in group.scope_spans or ():
            spans = scope.spans or ()
            count += len(spans)
            if count > MAX_SPANS:
                raise too_many()
            for raw in spans:
                if memoryview(raw).nbytes > MAX_SPAN_BYTES:
                    decoded.reject(TOO_LARGE)
                    continue
                keep(decoded, _span(_span_decoder.decode(raw), service, wanted, latest))
    return decoded


def _span(span: _Span, service: str | None, wanted: Wanted, latest: int) -> Span | str:
    try:
        trace_id = bytes.fromhex(span.trace_id or "")
        span_id = bytes.fromhex(span.span_id or "")
        parent_id = bytes.fromhex(span.parent_span_id or "")
    except ValueError:
        return BAD_ID
    started, ended = _whole(span.start_time_unix_nano), _whole(span.end_time_unix_nano)
    if not 0 <= started <= _LAST_NANOSECOND or not 0 <= ended <= _LAST_NANOSECOND:
        return BAD_TIME
    if reason := refusal_of(trace_id, span_id, parent_id, started, ended, latest):
        return reason
    exceptions: list[Attributes] = []
    events: list[tuple[str, Attributes]] = []
    for event in span.events or ():
        if event.name == EXCEPTION:
            exceptions.append(_attributes(event.attributes, wanted))
        elif wanted.events:
            events.append((event.name or "", _attributes(event.attributes, wanted)))
    status = span.status or _Status()
    return Span(
        trace_id=trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=parent_id.hex() if any(parent_id) else "",
        name=span.name or "",
        started_at=moment(started),
        ended_at=moment(ended),
        duration_ms=(ended - started) // 1_000_000,
        failed=status.code in _STATUS_ERROR,
        succeeded=status.code in _STATUS_OK,
        message=status.message or "",
        attributes=_attributes(span.attributes, wanted),
        exceptions=exceptions,
        events=events,
        service=service,
    )


def _attributes(attributes: list[_KeyValue] | None, wanted: Wanted) -> Attributes:
    return {
        attribute.key: _value(attribute.value)
        for attribute in attributes or ()
        if attribute.key in wanted
    }


def _value(value: _AnyValue | None, room: int = MAX_DEPTH) -> Any:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.bool_value is not None:
        return value.bool_value
    if value.int_value is not None:
        return _whole(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.array_value is not None or value.kvlist_value is not None:
        if not room:
            raise too_deep()
        if value.array_value is not None:
            return [_value(item, room - 1) for item in value.array_value.values or ()]
        members = (value.kvlist_value and value.kvlist_value.values) or ()
        return {item.key: _value(item.value, room - 1) for item in members}
    if value.bytes_value is not None:
        try:
            base64.b64decode(value.bytes_value, validate=True)
        except binascii.Error:
            raise ValueError("a bytesValue is not base64") from None
    return value.bytes_value


def _whole(value: int | str | None) -> int:
    """A 64-bit integer, which OTLP writes as a string of digits or as a number."""
    if isinstance(value, str):
        if not 1 <= len(value) <= 20 or not value.lstrip("-").isascii():
            raise ValueError("an integer is not written in decimal digits")
        value = int(value)
    return value or 0
