"""Spans become runs, steps, alerts and failures: whatever their order, and once."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import random
import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from config.tenancy.models import Tenant
from incidents.enums import RunStatus
from incidents.models import (
    Alert,
    Evidence,
    Failure,
    Incident,
    Run,
    SenderSettings,
    SpanStep,
    Step,
    Trace,
)
from incidents.senders import otlp
from incidents.services import runs, tracing
from incidents.services.tracing import storing
from tests.config.api.conftest import ApiClient
from tests.factories.facts import make_rule
from tests.factories.tenancy import TenantFactory, bearer, issue_key
from tests.incidents.senders.conftest import BY
from tests.incidents.senders.spans import ERROR, as_json, protobuf, span
from tests.incidents.services.checks import assert_consistent
from tests.incidents.services.test_crash import Crash, broken, snapshot

pytestmark = pytest.mark.django_db

TRACE = b"t" * 16
RUN = TRACE.hex()
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.cost": 0.01,
}


def ingest(tenant: Tenant, *spans: Any, service: str | None = None) -> otlp.Decoded:
    return tracing.ingest(
        tenant=tenant, by=BY, data=protobuf(*spans, service=service), encoding=otlp.PROTOBUF
    )


def family() -> list[Any]:
    """A root that failed over a tool that did, and two calls of a model."""
    root = span(id=b"root0000", name="job", lasts=5, exception={"exception.type": "Broken"})
    return [
        root,
        span(id=b"chat0001", parent=root.span_id, begins=1, attributes=CHAT),
        span(id=b"chat0002", parent=root.span_id, begins=2, attributes=CHAT),
        span(
            id=b"tool0000",
            parent=root.span_id,
            begins=3,
            attributes={"gen_ai.tool.name": "search"},
            status=ERROR,
        ),
    ]


def facts_of(tenant: Tenant) -> dict[str, Any]:
    """What a trace left behind but for ids, times of receipt and the order of arrival."""
    run = Run.objects.get(tenant=tenant, run_id=RUN)
    return {
        "run": (
            run.status,
            run.completion,
            run.total_tokens,
            run.total_cost_cents,
            run.incident_count,
            run.started_at,
            run.completed_at,
            run.termination_reason,
        ),
        "steps": sorted(
            Step.objects.filter(tenant=tenant).values_list("step_type", "timestamp", "content")
        ),
        "alerts": sorted(
            Alert.objects.filter(tenant=tenant).values_list("trigger_type", "call_id")
        ),
        "failures": list(
            Failure.objects.filter(tenant=tenant).values_list("run_id", "request_id", "error_code")
        ),
        "evidence": Evidence.objects.filter(tenant=tenant).count(),
    }


EXPECTED_RUN = ("failed", "failed", 20, Decimal("2.0000"), 2)


def test_ingest_of_a_whole_trace(tenant: Tenant) -> None:
    assert ingest(tenant, *family()).rejected == 0
    found = facts_of(tenant)
    assert found["run"][:5] == EXPECTED_RUN
    assert found["run"][-1] == "Broken"
    assert [step[0] for step in found["steps"]] == ["chat", "chat", "execute_tool", "span"]
    assert found["alerts"] == [
        ("llm_failure", f"run {RUN} request {b'root0000'.hex()}"),
        ("tool_error", b"tool0000".hex()),
    ]
    assert found["failures"] == [(RUN, b"root0000".hex(), "Broken")]
    assert found["evidence"] == 1
    trace = Trace.objects.get()
    assert (trace.trace_id, trace.run_id) == (RUN, RUN)
    assert trace.incident_id in set(Incident.objects.values_list("pk", flat=True))
    # Within one piece steps stand as they began.
    assert list(trace.steps.values_list("step_type", flat=True)) == [
        "span",
        "chat",
        "chat",
        "execute_tool",
    ]
    assert_consistent(tenant.pk, received=2)


@pytest.mark.parametrize("seed", range(6))
def test_ingest_in_pieces_in_any_order_and_more_than_once_is_the_same(
    tenant: Tenant, seed: int
) -> None:
    spans = family()
    ingest(tenant, *spans)
    shuffled = random.Random(seed)
    pieces = [[one] for one in spans] + [spans[:2], spans[2:], spans]
    shuffled.shuffle(pieces)
    apart: Tenant = TenantFactory.create()
    told: dict[int, Any] = {}
    for piece in pieces:
        ingest(apart, *piece)
        present = {s.step_index: s.sha256 for s in Step.objects.filter(tenant=apart)}
        # What was told once never changes.
        assert told.items() <= present.items()
        told = present
    assert facts_of(apart) == facts_of(tenant)
    assert set(told) == {0, 1, 2, 3}
    assert_consistent(apart.pk)


def test_ingest_of_a_span_twice_in_one_request_counts_once(tenant: Tenant) -> None:
    spans = family()
    ingest(tenant, *spans, *spans)
    assert Step.objects.count() == SpanStep.objects.count() == 4
    assert Failure.objects.count() == 1
    assert_consistent(tenant.pk, received=4)


def test_ingest_keeps_traces_apart(tenant: Tenant) -> None:
    same = {"id": b"same0000"}
    spans = [span(trace=bytes([n]) * 16, attributes=CHAT, **same) for n in range(1, 40)]
    ingest(tenant, *spans)
    assert Run.objects.filter(status="succeeded", total_tokens=10).count() == 39
    assert Step.objects.filter(step_index=0).count() == 39


def test_ingest_of_a_root_that_got_over_its_exception_is_an_alert_and_no_failure(
    tenant: Tenant,
) -> None:
    ingest(
        tenant,
        span(
            id=b"root0000",
            name="job",
            exception={"exception.type": "Handled"},
            status=Status(code=Status.STATUS_CODE_OK),
        ),
    )
    run = Run.objects.get()
    assert (run.status, run.termination_reason, run.incident_count) == ("succeeded", None, 1)
    assert Step.objects.get().status == "succeeded"
    alert = Alert.objects.get()
    assert (alert.trigger_type, alert.group_key) == ("span_error", "job: Handled")
    assert not Failure.objects.exists()
    assert_consistent(tenant.pk, received=1)


def test_ingest_counts_the_cost_of_a_call_once_of_those_that_tell_of_it(tenant: Tenant) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.cost": 0.01}
    inner = span(id=b"agent000", parent=b"root0000", attributes=agent, status=ERROR)
    ingest(tenant, inner, span(parent=inner.span_id, attributes=CHAT, status=ERROR))
    costs = Alert.objects.order_by("trigger_type").values_list("trigger_type", "cost_delta_cents")
    assert list(costs) == [("agent_error", None), ("llm_error", Decimal(1))]


def test_ingest_adds_to_an_ended_run_what_comes_late(tenant: Tenant) -> None:
    root, *others = family()
    ingest(tenant, root)
    assert (Run.objects.get().total_tokens, Run.objects.get().status) == (None, "failed")
    for other in others:
        ingest(tenant, other)
    run = Run.objects.get()
    assert (run.total_tokens, run.total_cost_cents) == (20, Decimal("2.0000"))


def test_ingest_of_an_incident_pointed_trace_adds_steps(tenant: Tenant) -> None:
    *_, tool = family()
    ingest(tenant, tool)
    assert Trace.objects.get().incident_id is not None
    ingest(tenant, *family())
    assert [s.step_type for s in Step.objects.order_by("step_index")] == [
        "execute_tool",
        "span",
        "chat",
        "chat",
    ]


def test_ingest_leaves_a_run_as_its_platform_ended_it(tenant: Tenant) -> None:
    runs.announce(tenant=tenant, run_id=RUN, agent_id="theirs", goal="their goal")
    runs.complete(tenant=tenant, run_id=RUN, status=RunStatus.HALTED)
    ingest(tenant, span(), service="svc")
    run = Run.objects.get()
    assert (run.status, run.agent_id, run.goal) == ("halted", "theirs", "their goal")


def test_ingest_ends_a_run_that_failed_before_as_failed(tenant: Tenant) -> None:
    Run.objects.create(tenant=tenant, run_id=RUN, status=RunStatus.FAILED)
    ingest(tenant, span())
    assert (Run.objects.get().status, Run.objects.get().completion) == ("failed", "failed")


def test_ingest_of_sums_beyond_all_numbers_has_none(tenant: Tenant) -> None:
    much = CHAT | {"gen_ai.usage.input_tokens": 2**53 - 1, "gen_ai.usage.cost": 9_999_999_999.0}
    ingest(tenant, *[span(parent=b"parent00", attributes=much) for _ in range(3)])
    root = span(id=b"root0000")
    ingest(tenant, root)
    run = Run.objects.get()
    assert (run.status, run.total_tokens, run.total_cost_cents) == ("succeeded", None, None)
    ingest(tenant, span(parent=b"parent00", attributes=much))
    ingest(tenant, span(parent=b"parent00", attributes=much))
    assert Run.objects.get().total_tokens == 2**53 - 1


def test_ingest_takes_so_many_steps_and_says_what_it_left_out(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_STEPS", 3)
    decoded = ingest(tenant, *family())
    assert (decoded.rejected, Step.objects.count()) == (1, 3)
    assert "steps" in decoded.explanation
    assert ingest(tenant, *family()).rejected == 1
    assert Step.objects.count() == 3


def test_ingest_that_a_rule_prevents_keeps_the_facts(tenant: Tenant) -> None:
    make_rule(tenant, error_code="Broken")
    ingest(tenant, *family())
    failure = Failure.objects.get()
    assert failure.incident_id is None
    assert Run.objects.get().status == "failed"
    ingest(tenant, *family())
    assert Failure.objects.count() == 1


def prompted(words: str) -> Any:
    made = span(attributes=CHAT | {"gen_ai.input.messages": words})
    made.events.add(name="gen_ai.choice").attributes.extend(
        span(attributes={"content": f"answer: {words}"}).attributes
    )
    return made


def test_ingest_drops_what_was_said(tenant: Tenant) -> None:
    ingest(tenant, prompted("hello"))
    (step,) = Step.objects.all()
    assert "hello" not in (step.content or "")
    assert Run.objects.get().goal is None


def test_ingest_keeps_what_was_said_redacted_when_that_is_wanted(tenant: Tenant) -> None:
    SenderSettings.objects.create(
        tenant=tenant, keep_prompts=True, redaction_patterns=["s[e3]cret", "[0-9]+"]
    )
    ingest(tenant, prompted("a s3cret of 42 \0"))
    (step,) = Step.objects.all()
    said = json.loads(step.content or "")["said"]
    assert said == {
        "gen_ai.input.messages": "a [redacted] of [redacted] \0",
        "gen_ai.choice": [{"content": "answer: a [redacted] of [redacted] \0"}],
    }
    assert Run.objects.get().goal == "a [redacted] of [redacted] \ufffd"


def test_ingest_leaves_out_what_is_said_beyond_a_mebibyte(tenant: Tenant) -> None:
    SenderSettings.objects.create(tenant=tenant, keep_prompts=True)
    ingest(tenant, prompted("word " * 120_000))
    (step,) = Step.objects.all()
    assert json.loads(step.content or "")["said"] == "what was said is over 1 MiB"


def test_a_crash_after_any_statement_leaves_nothing_behind(tenant: Tenant) -> None:
    ingest(tenant, *family()[1:2])
    before = snapshot()
    for number in itertools.count():
        try:
            with broken(number):
                ingest(tenant, *family())
        except Crash:
            assert snapshot() == before, f"after statement {number}"
        else:
            break
    assert number > 20
    assert facts_of(tenant)["run"][:5] == EXPECTED_RUN


def test_ingest_asks_no_more_of_the_database_for_more_spans(tenant: Tenant) -> None:
    def statements(*spans: Any) -> int:
        with broken(None) as ran:
            ingest(tenant, *spans)
        return len(ran)

    few = statements(span(trace=b"a" * 16), span(trace=b"a" * 16))
    many = statements(*[span(trace=bytes([n]) * 16) for n in range(1, 90) for _ in range(5)])
    assert many == few


@pytest.mark.django_db(transaction=True)
def test_ingest_by_many_at_once_is_one_run(tenant: Tenant) -> None:
    # Every request holds a part of every trace, so that they meet in all orders.
    traces = [bytes([n]) * 16 for n in range(1, 6)]
    roots = {trace: span(trace=trace, id=b"root" + trace[:4], lasts=9) for trace in traces}
    errors: list[Exception] = []
    barrier = threading.Barrier(6)

    def send(seed: int) -> None:
        order = random.Random(seed)
        try:
            for number in range(4):
                spans = []
                for trace in order.sample(traces, len(traces)):
                    spans += [
                        span(
                            trace=trace,
                            id=bytes([seed, number, trace[0], 1]) + b"chat",
                            parent=roots[trace].span_id,
                            attributes=CHAT,
                        ),
                        span(
                            trace=trace,
                            id=bytes([number, trace[0], 1, 1]) + b"tool",
                            parent=roots[trace].span_id,
                            attributes={"gen_ai.tool.name": "t"},
                            status=ERROR,
                        ),
                        roots[trace],
                    ]
                order.shuffle(spans)
                barrier.wait(30)
                ingest(tenant, *spans)
        except Exception as error:  # noqa: BLE001 - the test's own thread asks for it
            errors.append(error)
            barrier.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Run.objects.filter(status="succeeded", total_tokens=6 * 4 * 10).count() == 5
    for trace in Trace.objects.all():
        indexes = sorted(trace.steps.values_list("step_index", flat=True))
        assert indexes == list(range(6 * 4 + 4 + 1))
    assert Alert.objects.count() == 4 * 5
    assert_consistent(tenant.pk, received=6 * 4 * 5)


# Over HTTP

ADDRESSES = ["/v1/traces", "/api/public/otel/v1/traces"]


def post(
    api: Client, data: bytes, *, kind: str = otlp.PROTOBUF, to: str = ADDRESSES[0], **o: Any
) -> Any:
    return api.post(to, data, content_type=kind, **o)


@pytest.mark.parametrize("address", ADDRESSES)
def test_export_answers_in_the_encoding_of_the_request(api: ApiClient, address: str) -> None:
    bad = span(trace=bytes(16))
    binary = post(api, protobuf(span(), bad), to=address)
    assert (binary.status_code, binary.headers["Content-Type"]) == (200, otlp.PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(binary.content).partial_success
    assert (partial.rejected_spans, "ids" in partial.error_message) == (1, True)
    text = post(api, as_json(span(), bad), kind=f"{otlp.JSON}; charset=utf-8", to=address)
    assert (text.status_code, text.headers["Content-Type"]) == (200, otlp.JSON)
    assert text.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert post(api, protobuf(span())).content == b""
    assert post(api, as_json(span()), kind=otlp.JSON).json() == {}
    # An empty request, but for a field of a later version: the client sends no empty body.
    assert post(api, b"\x78\x01").status_code == 200
    assert Step.objects.count() == 4


def test_export_reads_gzip_within_its_bounds(api: ApiClient) -> None:
    packed = {"headers": {"Content-Encoding": "gzip"}}
    assert post(api, gzip.compress(protobuf(span())), **packed).status_code == 200
    bomb = gzip.compress(bytes(17 * 1024 * 1024))
    refused = post(api, bomb, **packed)
    assert (refused.status_code, refused.headers["Content-Type"]) == (413, otlp.PROTOBUF)
    assert "inflated" in RpcStatus.FromString(refused.content).message
    assert post(api, b"\x1f\x8bno", **packed).status_code == 400
    assert post(api, b"x", headers={"Content-Encoding": "br"}).status_code == 415
    assert Step.objects.count() == 1


def test_export_refuses_with_a_status_in_the_encoding_of_the_request(
    api: ApiClient, call: Any
) -> None:
    reader = call("read")
    for client, data, kind, status, code in (
        (Client(), b"x", otlp.PROTOBUF, 401, 16),
        (Client(headers=bearer("wrong")), b"x", otlp.JSON, 401, 16),
        (reader, b"x", otlp.PROTOBUF, 403, 7),
        (api, b"\xff", otlp.PROTOBUF, 400, 3),
        (api, b"[]", otlp.JSON, 400, 3),
        (api, b"{}", "text/plain", 415, 3),
        (api, b"{}", f"{otlp.JSON}; charset=latin-1", 415, 3),
    ):
        answer = post(client, data, kind=kind)
        assert answer.status_code == status, kind
        if kind == otlp.PROTOBUF:
            assert answer.headers["Content-Type"] == otlp.PROTOBUF
            assert RpcStatus.FromString(answer.content).code == code
        else:
            assert answer.headers["Content-Type"] == otlp.JSON
            assert answer.json()["code"] == code
        if status == 401:
            assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert api.get(ADDRESSES[0]).status_code == 405
    assert api.post(f"{ADDRESSES[0]}?x=1", b"", content_type=otlp.PROTOBUF).status_code == 400
    assert not Run.objects.exists()


def test_export_asks_to_come_back_when_it_could_succeed_later(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**given: Any) -> int:
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr(storing, "store", away)
        for data, kind in ((protobuf(span()), otlp.PROTOBUF), (as_json(span()), otlp.JSON)):
            _refuses_for_now(post(api, data, kind=kind), kind, status=503, code=14)
    Tenant.objects.filter(pk=api.tenant.pk).update(ingest_per_minute=0)
    for data, kind in ((protobuf(span()), otlp.PROTOBUF), (as_json(span()), otlp.JSON)):
        _refuses_for_now(post(api, data, kind=kind), kind, status=429, code=8)
    assert not Run.objects.exists()


def _refuses_for_now(answer: Any, kind: otlp.Encoding, *, status: int, code: int) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, kind)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    if kind == otlp.PROTOBUF:
        found = RpcStatus.FromString(answer.content)
        assert (found.code, bool(found.message)) == (code, True)
    else:
        assert answer.json()["code"] == code


@pytest.mark.parametrize(
    ("user", "known", "status"),
    [("pk-anything", True, 200), ("", True, 200), ("pk", False, 401)],
)
def test_export_takes_a_key_as_the_password_of_basic(
    tenant: Tenant, user: str, known: bool, status: int
) -> None:
    _, plaintext = issue_key(tenant)
    password = plaintext if known else "wrong"
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    client = Client(headers={"Authorization": f"Basic {credentials}"})
    assert post(client, protobuf(span()), to=ADDRESSES[1]).status_code == status


@pytest.mark.parametrize("presented", ["", "!", "/w==", "bm8tY29sb24="])
def test_export_refuses_a_basic_that_is_none(db: None, presented: str) -> None:
    client = Client(headers={"Authorization": f"Basic {presented}"})
    assert post(client, protobuf(span())).status_code == 401


def test_export_is_of_the_keys_tenant_alone(api: ApiClient, call: Any, tenant: Tenant) -> None:
    other = call(of=TenantFactory.create())
    post(api, protobuf(*family()))
    post(other, protobuf(*family()))
    for client in (api, other):
        answer = client.get(f"/api/v1/runs/{RUN}/trace/").json()
        assert len(answer["steps"]) == 4
        assert Run.objects.filter(tenant=client.tenant).count() == 1
        assert_consistent(client.tenant.pk, received=2)
