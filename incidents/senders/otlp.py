"""OTLP/HTTP, the protocol of OpenTelemetry: traces as protobuf or JSON, and the answers to them.

What is read of a span is in :class:`Span`; which attributes those are is the caller's to say, so
that a prompt which is not wanted is never even decoded. A request is walked span by span, since a
small body can hold millions of empty ones.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from config.api.strictjson import MAX_DEPTH
from config.errors import Invalid, TooLarge
from incidents.services.reports import MAX_AHEAD

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
Encoding = Literal["application/x-protobuf", "application/json"]

MAX_SPANS: Final = 20_000
# The most that one span may take: a body may be larger, but it is decoded a span at a time.
MAX_SPAN_BYTES: Final = 2 * 1024 * 1024

SERVICE: Final = "service.name"
_EXCEPTION: Final = "exception"
_STATUS_OK: Final = trace_pb2.Status.STATUS_CODE_OK
_STATUS_ERROR: Final = trace_pb2.Status.STATUS_CODE_ERROR
# As JSON writes them: by the specification a number, by senders also a string or the name.
_OK_WRITTEN: Final = frozenset({1, "1", "STATUS_CODE_OK"})
_ERROR_WRITTEN: Final = frozenset({2, "2", "STATUS_CODE_ERROR"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NANOSECOND: Final = 2**64 - 1

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which attributes are decoded: those of these names, and those that begin like these.

    ``events`` says that the attributes of events other than exceptions are decoded too.
    """

    names: frozenset[str]
    prefixes: tuple[str, ...] = ()
    events: bool = False

    def __contains__(self, name: str) -> bool:
        return name in self.names or (bool(self.prefixes) and name.startswith(self.prefixes))


@dataclass(slots=True)
class Span:
    """One span that has ended, with what was wanted of its attributes.

    Ids are lower-case hex; ``parent_id`` is "" for the root of a trace. ``failed`` is the status
    of the span alone, ``succeeded`` that it says OK, which only somebody who knows sets.
    ``exceptions`` holds the attributes of its exception events, ``events`` those of the others by
    name, and ``service`` what the resource calls itself.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    failed: bool
    succeeded: bool
    message: str
    attributes: Attributes
    exceptions: list[Attributes]
    events: list[tuple[str, Attributes]]
    service: str | None


@dataclass(slots=True)
class Decoded:
    """The spans of a request in their order, and why how many others were rejected."""

    spans: list[Span] = field(default_factory=list)
    rejections: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        """Counts one more span that was rejected for this reason."""
        self.rejections[reason] = self.rejections.get(reason, 0) + 1

    @property
    def rejected(self) -> int:
        return sum(self.rejections.values())

    @property
    def explanation(self) -> str:
        """What was wrong with the rejected spans, in one sentence for each kind; "" for none."""
        return " ".join(
            f"{count} span{'' if count == 1 else 's'}: {reason}."
            for reason, count in self.rejections.items()
        )


def decode(data: bytes, *, encoding: Encoding, wanted: Wanted, at: datetime) -> Decoded:
    """The spans of an ExportTraceServiceRequest.

    Invalid when it is not one, TooLarge when it holds more than 20,000 spans; a span that breaks
    a rule of its own (its ids, its times, its size) is rejected by itself.
    """
    latest = _nanoseconds(at + MAX_AHEAD)
    if encoding == PROTOBUF:
        try:
            return _decode_protobuf(data, wanted, latest)
        except (DecodeError, _Malformed):
            raise Invalid.field(
                "", "the body is not an ExportTraceServiceRequest: its bytes are malformed"
            ) from None
    try:
        return _decode_json(data, wanted, latest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid.field("", f"the body is not a request of OTLP in JSON: {error}") from None


# Protobuf


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


def _decode_protobuf(data: bytes, wanted: Wanted, latest: int) -> Decoded:
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
                    raise _too_many()
                if stop - begin > MAX_SPAN_BYTES:
                    decoded.reject(_TOO_LARGE)
                    continue
                _keep(decoded, _of_protobuf(bytes(view[begin:stop]), service, wanted, latest))
    return decoded


def _service(resource: Resource) -> str | None:
    for attribute in resource.attributes:
        if attribute.key == SERVICE and attribute.value.WhichOneof("value") == "string_value":
            return str(attribute.value.string_value)
    return None


def _of_protobuf(data: bytes, service: str | None, wanted: Wanted, latest: int) -> Span | str:
    span = trace_pb2.Span.FromString(data)
    started, ended = span.start_time_unix_nano, span.end_time_unix_nano
    trace_id, span_id, parent_id = span.trace_id, span.span_id, span.parent_span_id
    if reason := _refusal(trace_id, span_id, parent_id, started, ended, latest):
        return reason
    exceptions: list[Attributes] = []
    events: list[tuple[str, Attributes]] = []
    for event in span.events:
        if event.name == _EXCEPTION:
            exceptions.append(_attributes(event.attributes, wanted))
        elif wanted.events:
            events.append((event.name, _attributes(event.attributes, wanted)))
    status = span.status
    return Span(
        trace_id=trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=parent_id.hex() if any(parent_id) else "",
        name=span.name,
        started_at=_moment(started),
        ended_at=_moment(ended),
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
            raise _too_deep()
        if kind == "array_value":
            return [_value(item, room - 1) for item in value.array_value.values]
        return {item.key: _value(item.value, room - 1) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


# JSON


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


def _decode_json(data: bytes, wanted: Wanted, latest: int) -> Decoded:
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
                raise _too_many()
            for raw in spans:
                if memoryview(raw).nbytes > MAX_SPAN_BYTES:
                    decoded.reject(_TOO_LARGE)
                    continue
                _keep(decoded, _of_json(_span_decoder.decode(raw), service, wanted, latest))
    return decoded


def _of_json(span: _Span, service: str | None, wanted: Wanted, latest: int) -> Span | str:
    try:
        trace_id = bytes.fromhex(span.trace_id or "")
        span_id = bytes.fromhex(span.span_id or "")
        parent_id = bytes.fromhex(span.parent_span_id or "")
    except ValueError:
        return _BAD_ID
    started, ended = _whole(span.start_time_unix_nano), _whole(span.end_time_unix_nano)
    if not 0 <= started <= _LAST_NANOSECOND or not 0 <= ended <= _LAST_NANOSECOND:
        return _BAD_TIME
    if reason := _refusal(trace_id, span_id, parent_id, started, ended, latest):
        return reason
    exceptions: list[Attributes] = []
    events: list[tuple[str, Attributes]] = []
    for event in span.events or ():
        if event.name == _EXCEPTION:
            exceptions.append(_attributes_of_json(event.attributes, wanted))
        elif wanted.events:
            events.append((event.name or "", _attributes_of_json(event.attributes, wanted)))
    status = span.status or _Status()
    return Span(
        trace_id=trace_id.hex(),
        span_id=span_id.hex(),
        parent_id=parent_id.hex() if any(parent_id) else "",
        name=span.name or "",
        started_at=_moment(started),
        ended_at=_moment(ended),
        duration_ms=(ended - started) // 1_000_000,
        failed=status.code in _ERROR_WRITTEN,
        succeeded=status.code in _OK_WRITTEN,
        message=status.message or "",
        attributes=_attributes_of_json(span.attributes, wanted),
        exceptions=exceptions,
        events=events,
        service=service,
    )


def _attributes_of_json(attributes: list[_KeyValue] | None, wanted: Wanted) -> Attributes:
    return {
        attribute.key: _value_of_json(attribute.value)
        for attribute in attributes or ()
        if attribute.key in wanted
    }


def _value_of_json(value: _AnyValue | None, room: int = MAX_DEPTH) -> Any:
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
            raise _too_deep()
        if value.array_value is not None:
            return [_value_of_json(item, room - 1) for item in value.array_value.values or ()]
        members = (value.kvlist_value and value.kvlist_value.values) or ()
        return {item.key: _value_of_json(item.value, room - 1) for item in members}
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


# Both

_BAD_ID: Final = "the ids must be 16 and 8 bytes, not all of them zero"
_BAD_TIME: Final = "it must have started before it ended, at most 5 minutes ahead"
_NOT_ENDED: Final = "it must have ended"
_TOO_LARGE: Final = f"it must be at most {MAX_SPAN_BYTES // 1024 // 1024} MiB"


def _refusal(
    trace_id: bytes, span_id: bytes, parent_id: bytes, started: int, ended: int, latest: int
) -> str | None:
    if len(trace_id) != 16 or len(span_id) != 8 or len(parent_id) not in (0, 8):
        return _BAD_ID
    if not any(trace_id) or not any(span_id):
        return _BAD_ID
    if not ended:
        return _NOT_ENDED
    if not started <= ended <= latest:
        return _BAD_TIME
    return None


def _keep(decoded: Decoded, result: Span | str) -> None:
    if isinstance(result, Span):
        decoded.spans.append(result)
    else:
        decoded.reject(result)


def _too_deep() -> Invalid:
    return Invalid.field("", f"an attribute is nested deeper than {MAX_DEPTH} levels")


def _too_many() -> TooLarge:
    return TooLarge(f"A request holds at most {MAX_SPANS:,} spans.")


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1_000)


def _nanoseconds(moment: datetime) -> int:
    return int((moment - _EPOCH) / timedelta(microseconds=1)) * 1_000


# Answers


def answer(*, encoding: Encoding, rejected: int = 0, explanation: str = "") -> bytes:
    """The ExportTraceServiceResponse; its partial success is absent when all were taken."""
    if encoding == PROTOBUF:
        response = ExportTraceServiceResponse()
        if rejected or explanation:
            response.partial_success.rejected_spans = rejected
            response.partial_success.error_message = explanation
        return bytes(response.SerializeToString())
    if not rejected and not explanation:
        return b"{}"
    # 64-bit integers are strings in protobuf's JSON.
    partial = {"rejectedSpans": str(rejected), "errorMessage": explanation}
    return msgspec.json.encode({"partialSuccess": partial})


def refusal(*, encoding: Encoding, code: int, message: str) -> bytes:
    """A google.rpc.Status: its code is one of gRPC's, its message for people."""
    if encoding == JSON:
        return msgspec.json.encode({"code": code, "message": message})
    # By hand: two fields, and no second package of generated code for them.
    encoded = message.encode()
    return b"\x08" + _write_varint(code) + b"\x12" + _write_varint(len(encoded)) + encoded


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
