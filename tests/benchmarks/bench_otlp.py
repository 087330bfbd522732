"""Spans a second over OTLP protobuf, beside the same spans as plain JSON decode plus COPY.

    DATABASE_URL=postgres://... python tests/benchmarks/bench_otlp.py [--traces N] [--failing N]

It makes a database of its own on that server. "firebreak" is everything between the bytes of a
request and its commit: runs, traces, steps, what is known again, and with --failing the alerts.
"over HTTP" adds the view, the key and the answer. The rival decodes the same spans from JSON with
msgspec and COPYs them into one table without an index, which is as little as can be done; it
knows no duplicates, no runs and no order. Each is run in turn, so that the ratios count.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import database

NAME = "firebreak_bench_otlp"
SPANS_A_TRACE = 10
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=50, help="traces in a request")
    parser.add_argument("--failing", type=int, default=0, help="of 100 tools, how many fail")
    options = parser.parse_args()
    database.set_up(NAME)
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    measure(options.traces, options.failing)


def measure(traces: int, failing: int) -> None:
    from django.db import connection
    from django.test import Client

    from config.actors import COMMAND_LINE, Actor
    from config.tenancy.services import keys
    from incidents.senders import genai, otlp
    from incidents.services import tracing

    key, plaintext = keys.issue(by=COMMAND_LINE, tenant_id="bench", name="bench", scopes=["ingest"])
    client = Client(headers={"Authorization": f"Bearer {plaintext}"})
    wanted = otlp.Wanted(genai.NAMES)
    with connection.cursor() as cursor:
        cursor.execute(RIVAL)

    def decode(binary: bytes, _: bytes) -> None:
        from config import clock

        otlp.decode(binary, encoding=otlp.PROTOBUF, wanted=wanted, at=clock.now())

    def ingest(binary: bytes, _: bytes) -> None:
        decoded = tracing.ingest(
            tenant=key.tenant, by=Actor(via="bench"), data=binary, encoding=otlp.PROTOBUF
        )
        assert not decoded.rejected

    def ingest_json(_: bytes, text: bytes) -> None:
        decoded = tracing.ingest(
            tenant=key.tenant, by=Actor(via="bench"), data=text, encoding=otlp.JSON
        )
        assert not decoded.rejected

    def over_http(binary: bytes, _: bytes) -> None:
        answer = client.post("/v1/traces", binary, content_type=otlp.PROTOBUF)
        assert (answer.status_code, answer.content) == (200, b"")

    shapes: dict[str, Callable[[bytes, bytes], None]] = {
        "decode protobuf only": decode,
        "firebreak, protobuf": ingest,
        "firebreak, JSON": ingest_json,
        "firebreak, protobuf over HTTP": over_http,
        "JSON decode plus COPY": copy_json,
    }
    count = traces * SPANS_A_TRACE
    rates: dict[str, list[float]] = {name: [] for name in shapes}
    sizes = []
    for turn in range(ROUNDS + 2):
        for name, shape in shapes.items():
            binary, text = make(traces, failing)
            sizes.append(len(binary) / count)
            start = time.perf_counter()
            shape(binary, text)
            if turn >= 2:
                rates[name].append(count / (time.perf_counter() - start))
    print(f"{count} spans a request in {traces} traces, {statistics.mean(sizes):.0f} bytes each,")
    print(f"{failing} of 100 tools fail; median of {ROUNDS} rounds, spans a second:\n")
    plain = statistics.median(rates["JSON decode plus COPY"])
    for name, found in rates.items():
        rate = statistics.median(found)
        print(f"{name:32} {rate:10,.0f}   {rate / plain:5.2f} of the rival")


RIVAL = """
CREATE UNLOGGED TABLE IF NOT EXISTS rival (
    trace_id text, span_id text, parent_id text, name text, started bigint, ended bigint,
    attributes jsonb
);
ALTER TABLE rival SET LOGGED
"""


def copy_json(_: bytes, text: bytes) -> None:
    import msgspec
    from django.db import connection, transaction

    body = msgspec.json.decode(text)
    with transaction.atomic():
        connection.ensure_connection()
        with (
            connection.connection.cursor() as cursor,
            cursor.copy("COPY rival FROM STDIN") as copy,
        ):
            for group in body["resourceSpans"]:
                for scope in group["scopeSpans"]:
                    for span in scope["spans"]:
                        copy.write_row(
                            (
                                span["traceId"],
                                span["spanId"],
                                span.get("parentSpanId"),
                                span["name"],
                                int(span["startTimeUnixNano"]),
                                int(span["endTimeUnixNano"]),
                                msgspec.json.encode(span["attributes"]).decode(),
                            )
                        )


def make(traces: int, failing: int) -> tuple[bytes, bytes]:
    """The same new traces in both encodings: an agent, calls of a model, and tools."""
    import random

    from tests.incidents.senders.spans import ERROR, as_json, protobuf, span

    chance = random.Random(time.time_ns())
    spans: list[Any] = []
    for _ in range(traces):
        trace = chance.randbytes(16)
        root = span(
            trace=trace,
            name="invoke_agent planner",
            lasts=9,
            attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
        )
        spans.append(root)
        for number in range(SPANS_A_TRACE - 1):
            if number % 3 == 2:
                attributes: dict[str, Any] = {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": "search",
                    "gen_ai.tool.call.id": "call_7",
                }
                fails = chance.randrange(100) < failing
            else:
                attributes = {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "acme",
                    "gen_ai.request.model": "large-2",
                    "gen_ai.response.model": "large-2-2026",
                    "gen_ai.usage.input_tokens": chance.randrange(4_000),
                    "gen_ai.usage.output_tokens": chance.randrange(400),
                    "gen_ai.request.temperature": 0.5,
                    "gen_ai.response.id": "chatcmpl-9J3uI",
                    "server.address": "api.example.com",
                }
                fails = False
            spans.append(
                span(
                    trace=trace,
                    parent=root.span_id,
                    name=f"{attributes['gen_ai.operation.name']} large-2",
                    begins=number,
                    attributes=attributes,
                    **({"status": ERROR} if fails else {}),
                )
            )
    return protobuf(*spans, service="bench"), as_json(*spans, service="bench")


if __name__ == "__main__":
    main()
