"""Traces from the exporters that teams really run: OpenTelemetry's SDK and Langfuse's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from langfuse import Langfuse
from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from incidents.models import Alert, Failure, Run, Step
from incidents.services.tracing import storing
from tests.incidents.senders.conftest import Served
from tests.incidents.services.checks import assert_consistent


def provider(served: Served, *, compression: Compression, one_by_one: bool = False) -> Any:
    exporter = OTLPSpanExporter(
        endpoint=f"{served.url}/v1/traces",
        headers={"Authorization": f"Bearer {served.bearer}"},
        compression=compression,
    )
    made = TracerProvider(resource=Resource.create({"service.name": "ledger agents"}))
    kind = SimpleSpanProcessor if one_by_one else BatchSpanProcessor
    made.add_span_processor(kind(exporter))
    return made


def steps_of(run_id: str) -> list[Any]:
    return list(Step.objects.filter(trace__run_id=run_id).order_by("step_index"))


def run_agent(tracer: otel.Tracer) -> str:
    """A run whose tool fails and whose agent recovers; its trace id."""
    with tracer.start_as_current_span(
        "invoke_agent planner",
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "planner",
            # The agent's span repeats what its calls used.
            "gen_ai.usage.input_tokens": 1000,
        },
    ) as root:
        with tracer.start_as_current_span(
            "chat large-2",
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "acme",
                "gen_ai.request.model": "large-2",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.cost": 0.0123,
                "gen_ai.input.messages": '[{"role": "user", "content": "a secret"}]',
            },
        ):
            pass
        with (
            pytest.raises(TimeoutError),
            tracer.start_as_current_span(
                "execute_tool search",
                attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
            ),
        ):
            raise TimeoutError("no answer for ada@example.com")
    return format(root.get_span_context().trace_id, "032x")


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_opentelemetry_sdk_makes_a_run_with_steps(served: Served, compression: Compression) -> None:
    sdk = provider(served, compression=compression)
    run_id = run_agent(sdk.get_tracer("test"))
    sdk.shutdown()
    run = Run.objects.get(tenant=served.tenant, run_id=run_id)
    assert (run.status, run.completion, run.agent_id) == ("succeeded", "succeeded", "planner")
    assert run.started_at < run.completed_at
    assert (run.total_tokens, run.total_cost_cents) == (120, Decimal("1.2300"))
    agent, chat, tool = steps_of(run_id)
    assert [s.step_type for s in (agent, chat, tool)] == ["invoke_agent", "chat", "execute_tool"]
    assert [s.status for s in (agent, chat, tool)] == ["succeeded", "succeeded", "failed"]
    assert (chat.tokens, chat.cost_cents) == (120, Decimal("1.2300"))
    assert json.loads(chat.content)["model"] == "large-2"
    assert json.loads(tool.content)["tool"] == "search"
    assert "secret" not in chat.content
    alert = Alert.objects.get(tenant=served.tenant)
    assert (alert.trigger_type, alert.call_id) == (
        "tool_error",
        json.loads(tool.content)["span_id"],
    )
    assert (alert.run_id, alert.error_code) == (run_id, "EXECUTION_TIMEOUT")
    assert alert.group_key == "search: EXECUTION_TIMEOUT"
    assert alert.error_message == "TimeoutError: no answer for [redacted]"
    assert not Failure.objects.exists()
    assert_consistent(served.tenant.pk, received=1)


def test_opentelemetry_sdk_sends_a_trace_in_pieces_children_first(served: Served) -> None:
    sdk = provider(served, compression=Compression.Gzip, one_by_one=True)
    run_id = run_agent(sdk.get_tracer("test"))
    sdk.shutdown()
    run = Run.objects.get(run_id=run_id)
    assert (run.status, run.total_tokens, run.incident_count) == ("succeeded", 120, 1)
    # The place in which they arrived, because what an incident points to never changes.
    assert [step.step_type for step in steps_of(run_id)] == [
        "chat",
        "execute_tool",
        "invoke_agent",
    ]


def test_opentelemetry_sdk_whose_root_fails_makes_a_failure(served: Served) -> None:
    sdk = provider(served, compression=Compression.NoCompression)
    with (
        pytest.raises(ValueError, match="no plan"),
        sdk.get_tracer("test").start_as_current_span("job") as root,
    ):
        raise ValueError("no plan")
    sdk.shutdown()
    run_id = format(root.get_span_context().trace_id, "032x")
    run = Run.objects.get(run_id=run_id)
    assert (run.status, run.agent_id, run.error) == (
        "failed",
        "ledger-agents",
        "ValueError: no plan",
    )
    failure = Failure.objects.get(run_id=run_id)
    assert (failure.error_code, failure.failure_type) == ("ValueError", "exception")
    assert failure.request_id == format(root.get_span_context().span_id, "016x")
    assert failure.incident.trigger_type == "llm_failure"
    assert_consistent(served.tenant.pk, received=1)


def test_opentelemetry_sdk_with_a_wrong_key_is_told_so(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.bearer = "fb_wrong"
    sdk = provider(served, compression=Compression.NoCompression)
    with sdk.get_tracer("test").start_as_current_span("job"):
        pass
    sdk.shutdown()
    assert "401" in caplog.text
    assert not Run.objects.exists()


def test_opentelemetry_sdk_comes_back_after_an_outage(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = storing.store
    asked: list[int] = []

    def recovering(**given: Any) -> int:
        asked.append(len(given["pieces"]))
        if len(asked) == 1:
            raise OperationalError("the connection is lost")
        return store(**given)

    monkeypatch.setattr(storing, "store", recovering)
    sdk = provider(served, compression=Compression.Gzip)
    run_id = run_agent(sdk.get_tracer("test"))
    sdk.force_flush()
    sdk.shutdown()
    assert asked == [3, 3]
    assert len(steps_of(run_id)) == 3
    assert_consistent(served.tenant.pk, received=1)


def test_opentelemetry_sdk_is_told_what_was_rejected(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storing, "MAX_STEPS", 2)
    sdk = provider(served, compression=Compression.Gzip)
    run_id = run_agent(sdk.get_tracer("test"))
    sdk.shutdown()
    assert len(steps_of(run_id)) == 2
    # The exporter takes a partial success for one, and does not send again.
    assert "Failed to export" not in caplog.text


def test_langfuse_sdk_makes_runs_by_its_own_address_and_names(served: Served) -> None:
    client = Langfuse(
        public_key=f"pk-{served.tenant.pk}",
        secret_key=served.bearer,
        base_url=served.url,
        tracer_provider=TracerProvider(),
    )
    with client.start_as_current_observation(name="answer", as_type="agent") as root:
        with client.start_as_current_observation(
            name="draft", as_type="generation", model="large-2", input="what I asked"
        ) as generation:
            generation.update(
                usage_details={"input": 30, "output": 12},
                cost_details={"input": 0.001, "output": 0.002},
            )
        with client.start_as_current_observation(name="lookup", as_type="tool") as tool:
            tool.update(level="ERROR", status_message="the index is gone")
    run_id = root.trace_id
    client.flush()
    client.shutdown()
    run = Run.objects.get(tenant=served.tenant, run_id=run_id)
    assert (run.status, run.agent_id) == ("succeeded", "answer")
    assert (run.total_tokens, run.total_cost_cents) == (42, Decimal("0.3000"))
    assert {step.step_type for step in steps_of(run_id)} == {
        "invoke_agent",
        "chat",
        "execute_tool",
    }
    assert not any("what I asked" in step.content for step in steps_of(run_id))
    alert = Alert.objects.get(tenant=served.tenant)
    assert (alert.trigger_type, alert.group_key) == ("tool_error", "lookup: UNKNOWN")
    assert alert.error_message == "the index is gone"


def test_langfuse_sdk_with_a_seeded_trace_marks_its_root(served: Served) -> None:
    client = Langfuse(
        public_key=f"pk-seeded-{served.tenant.pk}",
        secret_key=served.bearer,
        base_url=served.url,
        tracer_provider=TracerProvider(),
    )
    run_id = client.create_trace_id(seed=served.tenant.pk)
    with client.start_as_current_observation(
        name="job", as_type="span", trace_context={"trace_id": run_id}
    ):
        pass
    client.flush()
    client.shutdown()
    assert Run.objects.get(run_id=run_id).status == "succeeded"
