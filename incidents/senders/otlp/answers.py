"""What a request of OTLP is answered, in its own encoding."""

from __future__ import annotations

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from incidents.senders.otlp.spans import JSON, PROTOBUF, Encoding


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
