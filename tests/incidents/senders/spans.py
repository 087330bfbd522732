"""Traces made by hand, as an exporter would write them."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

ERROR = Status(code=Status.STATUS_CODE_ERROR, message="it broke")
SECOND = 1_000_000_000


def value_of(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[value_of(item) for item in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes_of(value)))
    return AnyValue(string_value=value)


def attributes_of(members: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value_of(value)) for name, value in members.items()]


def span(
    *,
    trace: bytes = b"t" * 16,
    id: bytes | None = None,
    parent: bytes = b"",
    name: str = "work",
    begins: float = 0,
    lasts: float = 1,
    attributes: dict[str, Any] | None = None,
    exception: dict[str, Any] | None = None,
    **fields: Any,
) -> Span:
    """A span that began so many seconds after a minute ago."""
    start = time.time_ns() - 60 * SECOND + int(begins * SECOND)
    made = Span(
        trace_id=trace,
        span_id=os.urandom(8) if id is None else id,
        parent_span_id=parent,
        name=name,
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(lasts * SECOND),
        attributes=attributes_of(attributes or {}),
    )
    if exception is not None:
        made.events.add(name="exception", attributes=attributes_of(exception))
    for field, value in fields.items():
        target = getattr(made, field)
        if hasattr(target, "CopyFrom"):
            target.CopyFrom(value)
        else:
            setattr(made, field, value)
    return made


def request(*spans: Span, service: str | None = None) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    if service is not None:
        group.resource.attributes.extend(attributes_of({"service.name": service}))
    group.scope_spans.add().spans.extend(spans)
    return made


def protobuf(*spans: Span, service: str | None = None) -> bytes:
    return bytes(request(*spans, service=service).SerializeToString())


def as_json(*spans: Span, service: str | None = None) -> bytes:
    """OTLP's JSON, which differs from protobuf's in its ids: hex, not base64."""

    def rewrite(value: Any) -> Any:
        if isinstance(value, list):
            return [rewrite(item) for item in value]
        if isinstance(value, dict):
            return {
                name: base64.b64decode(inner).hex()
                if name in ("traceId", "spanId", "parentSpanId")
                else rewrite(inner)
                for name, inner in value.items()
            }
        return value

    message = MessageToDict(request(*spans, service=service), use_integers_for_enums=True)
    return json.dumps(rewrite(message)).encode()
