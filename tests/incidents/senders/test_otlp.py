"""OTLP as bytes: what is read of a request, and what is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from config.errors import Invalid, TooLarge
from incidents.senders import otlp
from tests.incidents.senders.spans import ERROR, as_json, protobuf, span

WANTED = otlp.Wanted(frozenset({"a", "exception.type", "x.y"}), ("said.",), events=True)
NOW = datetime.now(UTC)


def decode(data: bytes, encoding: otlp.Encoding = otlp.PROTOBUF) -> otlp.Decoded:
    return otlp.decode(data, encoding=encoding, wanted=WANTED, at=datetime.now(UTC))


def test_decode_reads_the_same_of_both_encodings() -> None:
    deep = [1, 2.5, True, "x", b"\x00\xff", {"k": ["v", {}]}, 2**53]
    spans = [
        span(
            id=b"12345678",
            parent=b"87654321",
            name="tool ü",
            attributes={"a": deep, "b": "unwanted", "said.x": "word"},
            exception={"exception.type": "E", "exception.stacktrace": "unwanted"},
            status=ERROR,
        ),
        span(id=b"abcdefgh", parent=bytes(8), status=Status(code=Status.STATUS_CODE_OK)),
    ]
    spans[1].events.add(name="other").attributes.extend(spans[0].attributes)
    binary = decode(protobuf(*spans, service="s"))
    assert binary == decode(as_json(*spans, service="s"), otlp.JSON)
    first, second = binary.spans
    assert (first.trace_id, first.span_id) == ((b"t" * 16).hex(), b"12345678".hex())
    assert (first.parent_id, first.name, first.service) == (b"87654321".hex(), "tool ü", "s")
    assert first.attributes == {
        "a": [1, 2.5, True, "x", "AP8=", {"k": ["v", {}]}, 2**53],
        "said.x": "word",
    }
    assert (first.failed, first.message, first.duration_ms) == (True, "it broke", 1000)
    assert first.exceptions == [{"exception.type": "E"}]
    assert (first.succeeded, second.succeeded) == (False, True)
    assert (second.failed, second.parent_id) == (False, "")
    assert [name for name, _ in second.events] == ["other"]
    assert timedelta(seconds=59) < datetime.now(UTC) - first.started_at < timedelta(seconds=90)


def test_decode_takes_the_liberties_that_json_senders_take() -> None:
    body = json.loads(as_json(span(), service=None))
    (sent,) = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    sent["startTimeUnixNano"] = int(sent["startTimeUnixNano"])
    sent["status"] = {"code": "STATUS_CODE_ERROR", "message": None}
    sent["traceId"] = sent["traceId"].upper()
    sent["unknown"] = {"is": "ignored"}
    sent["attributes"] = [{"key": "a", "value": {"intValue": 7}}, {"key": "x.y"}]
    (found,) = decode(json.dumps(body).encode(), otlp.JSON).spans
    assert (found.failed, found.succeeded) == (True, False)
    assert found.trace_id == (b"t" * 16).hex()
    assert found.attributes == {"a": 7, "x.y": None}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trace": bytes(16)}, "ids"),
        ({"trace": b"t" * 15}, "ids"),
        ({"trace": b""}, "ids"),
        ({"id": bytes(8)}, "ids"),
        ({"id": b"1"}, "ids"),
        ({"parent": b"1"}, "ids"),
        ({"end_time_unix_nano": 0}, "ended"),
        ({"start_time_unix_nano": 2**64 - 1}, "started before"),
        ({"end_time_unix_nano": 2**64 - 1}, "5 minutes ahead"),
        ({"lasts": -1}, "started before"),
        ({"lasts": 600}, "5 minutes ahead"),
        ({"name": "x" * otlp.MAX_SPAN_BYTES}, "2 MiB"),
    ],
)
@pytest.mark.parametrize("encoding", [otlp.PROTOBUF, otlp.JSON])
def test_decode_rejects_a_span_by_itself(
    encoding: otlp.Encoding, changes: dict[str, Any], reason: str
) -> None:
    write = protobuf if encoding == otlp.PROTOBUF else as_json
    decoded = decode(write(span(), span(**changes), span(**changes)), encoding)
    assert (len(decoded.spans), decoded.rejected) == (1, 2)
    assert decoded.explanation.startswith("2 spans: ")
    assert reason in decoded.explanation


def test_decode_takes_the_earliest_and_the_latest_time() -> None:
    first = span(start_time_unix_nano=0, end_time_unix_nano=1)
    last = span(lasts=60 + 290)
    assert len(decode(protobuf(first, last)).spans) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\x0a",
        b"\x0a\x05abc",
        b"\x0b",
        b"\x09\x01",
        b"\x0a\x02\x12\x05",
        b"\x0a\x04\x12\x02\x12\x01",
        b"\x80" * 12,
        b"\x0a\x03\x0a\x01\xff",
    ],
)
def test_decode_refuses_malformed_protobuf(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"resourceSpans": {}}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "x"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": 1.5}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
    ],
)
def test_decode_refuses_malformed_json(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode(data, otlp.JSON)


def test_decode_skips_what_it_does_not_know() -> None:
    # Fields of every wire type that a later version might add.
    unknown = b"\x78\x01" + b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x7a\x01x"
    assert len(decode(unknown + protobuf(span()) + unknown).spans) == 1


@pytest.mark.parametrize("encoding", [otlp.PROTOBUF, otlp.JSON])
def test_decode_refuses_more_spans_than_it_holds_at_once(encoding: otlp.Encoding) -> None:
    count = otlp.MAX_SPANS + 1
    if encoding == otlp.JSON:
        data = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * (count - 1) + b"{}]}]}]}"
    else:
        # One resource and one scope around so many empty spans, each two bytes.
        data = _nested(_nested(b"\x12\x00" * count, 2), 1)
    with pytest.raises(TooLarge):
        decode(data, encoding)


def _nested(data: bytes, number: int) -> bytes:
    length, size = bytearray(), len(data)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2]) + bytes(length) + data


def test_answer_has_a_partial_success_only_when_there_is_one() -> None:
    assert otlp.answer(encoding=otlp.PROTOBUF) == b""
    assert otlp.answer(encoding=otlp.JSON) == b"{}"
    binary = otlp.answer(encoding=otlp.PROTOBUF, rejected=3, explanation="why")
    response = ExportTraceServiceResponse.FromString(binary)
    assert response.partial_success.rejected_spans == 3
    assert response.partial_success.error_message == "why"
    assert json.loads(otlp.answer(encoding=otlp.JSON, rejected=3, explanation="why")) == {
        "partialSuccess": {"rejectedSpans": "3", "errorMessage": "why"}
    }


@pytest.mark.parametrize("message", ["", "no", "ü" * 5000])
def test_refusal_is_a_status_of_google(message: str) -> None:
    binary = otlp.refusal(encoding=otlp.PROTOBUF, code=16, message=message)
    assert RpcStatus.FromString(binary) == RpcStatus(code=16, message=message)
    assert json.loads(otlp.refusal(encoding=otlp.JSON, code=16, message=message)) == {
        "code": 16,
        "message": message,
    }


@pytest.mark.parametrize("encoding", [otlp.PROTOBUF, otlp.JSON])
def test_decode_refuses_deep_attributes(encoding: otlp.Encoding) -> None:
    write = protobuf if encoding == otlp.PROTOBUF else as_json
    value: Any = "x"
    for _ in range(16):
        value = {"k": [value]}
    assert len(decode(write(span(attributes={"a": value})), encoding).spans) == 1
    with pytest.raises(Invalid):
        decode(write(span(attributes={"a": [value]})), encoding)
