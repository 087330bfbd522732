"""The names that say what a span was, in use and superseded."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.senders import fitting, genai

NAMES = {
    "operation": [
        ({"gen_ai.operation.name": "chat"}, "chat"),
        ({"gen_ai.operation.name": "Text Completion!"}, "text_completion"),
        ({"openinference.span.kind": "LLM"}, "chat"),
        ({"openinference.span.kind": "RETRIEVER"}, "retrieval"),
        ({"langfuse.observation.type": "generation"}, "chat"),
        ({"langfuse.observation.type": "span"}, "span"),
        ({"traceloop.span.kind": "workflow"}, "invoke_workflow"),
        ({"llm.request.type": "completion"}, "text_completion"),
        ({"ai.operationId": "ai.streamText.doStream"}, "chat"),
        ({"ai.operationId": "ai.generateText"}, "invoke_agent"),
        ({"gen_ai.tool.name": "search"}, "execute_tool"),
        ({"llm.usage.total_tokens": 3}, "chat"),
        ({"openinference.span.kind": "LLM", "gen_ai.operation.name": "embeddings"}, "embeddings"),
        ({}, "span"),
        ({"gen_ai.operation.name": 7}, "span"),
    ],
    "model": [
        ({"gen_ai.request.model": "a", "gen_ai.response.model": "b"}, "a"),
        ({"gen_ai.response.model": "b"}, "b"),
        ({"llm.model_name": "c"}, "c"),
        ({"embedding.model_name": "c"}, "c"),
        ({"langfuse.observation.model.name": "d"}, "d"),
        ({"ai.model.id": "e"}, "e"),
        ({"gen_ai.request.model": ""}, None),
        ({"gen_ai.request.model": "m" * 300}, "m" * 200),
    ],
    "provider": [
        ({"gen_ai.provider.name": "p", "gen_ai.system": "q"}, "p"),
        ({"gen_ai.system": "q"}, "q"),
        ({"llm.provider": "r"}, "r"),
    ],
    "agent_id": [
        ({"gen_ai.agent.id": "id", "gen_ai.agent.name": "n"}, "id"),
        ({"gen_ai.agent.name": "Weather Agent (EU)"}, "Weather-Agent-EU"),
        ({"agent.name": "n"}, "n"),
        ({"openinference.span.kind": "AGENT"}, "the-span"),
        ({"gen_ai.agent.name": "\u4e16"}, None),
    ],
    "tool": [
        ({"gen_ai.tool.name": "t"}, "t"),
        ({"tool.name": "t"}, "t"),
        ({"ai.toolCall.name": "t"}, "t"),
        ({"langfuse.observation.type": "tool"}, "the span"),
    ],
    "input_tokens": [
        ({"gen_ai.usage.input_tokens": 1, "gen_ai.usage.prompt_tokens": 2}, 1),
        ({"gen_ai.usage.prompt_tokens": 2}, 2),
        ({"llm.token_count.prompt": 3}, 3),
        ({"llm.usage.prompt_tokens": 4}, 4),
        ({"ai.usage.promptTokens": 5}, 5),
        ({"langfuse.observation.usage_details": '{"input": 6}'}, 6),
        ({"gen_ai.usage.input_tokens": -1}, None),
        ({"gen_ai.usage.input_tokens": 2**60}, None),
        ({"gen_ai.usage.input_tokens": "7"}, None),
        ({"gen_ai.usage.input_tokens": True}, None),
    ],
    "tokens": [
        ({"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2}, 3),
        ({"gen_ai.usage.completion_tokens": 2}, 2),
        ({"llm.token_count.total": 9, "llm.token_count.prompt": 1}, 9),
        ({"langfuse.observation.usage_details": '{"total": 4, "output": 1}'}, 4),
        ({"langfuse.observation.usage_details": "[1"}, None),
        ({"gen_ai.usage.input_tokens": 2**53 - 1, "gen_ai.usage.output_tokens": 1}, None),
        ({}, None),
    ],
    "cost_cents": [
        ({"gen_ai.usage.cost": 0.0123}, "1.2300"),
        ({"llm.cost.total": 1}, "100.0000"),
        ({"langfuse.observation.cost_details": '{"input": 0.1, "output": 0.2}'}, "30.0000"),
        ({"langfuse.observation.cost_details": '{"input": 0.1, "total": 0.5}'}, "50.0000"),
        ({"gen_ai.usage.cost": -1}, None),
        ({"gen_ai.usage.cost": float("nan")}, None),
        ({"gen_ai.usage.cost": float("inf")}, None),
        ({"gen_ai.usage.cost": 1e300}, None),
        ({"gen_ai.usage.cost": True}, None),
        ({"gen_ai.usage.cost": [], "llm.cost.total": 1}, "100.0000"),
    ],
    "is_root": [({"langfuse.internal.as_root": True}, True), ({}, False)],
}
CASES = [
    pytest.param(name, given, expected, id=f"{name} {given}"[:80])
    for name, cases in NAMES.items()
    for given, expected in cases
]


@pytest.mark.parametrize(("name", "given", "expected"), CASES)
def test_read(name: str, given: dict[str, Any], expected: Any) -> None:
    assert getattr(genai.read(given, name="the span"), name) == expected


@pytest.mark.parametrize(("name", "given", "expected"), CASES)
def test_read_names_are_all_wanted(name: str, given: dict[str, Any], expected: Any) -> None:
    assert set(given) <= genai.NAMES


def trouble(
    attributes: dict[str, Any] | None = None, *exceptions: dict[str, Any], **given: Any
) -> genai.Trouble | None:
    return genai.trouble(
        attributes or {},
        failed=given.get("failed", False),
        message=given.get("message", ""),
        exceptions=list(exceptions),
    )


def test_trouble_comes_of_status_exception_or_level() -> None:
    assert trouble() is None
    assert trouble({"error.type": "E"}) is None
    assert trouble(failed=True) == genai.Trouble(None, None)
    assert trouble({"error.type": "429"}, failed=True, message="m") == genai.Trouble("429", "m")
    raised = {"exception.type": "E", "exception.message": "m"}
    assert trouble(None, {"exception.type": "first"}, raised) == genai.Trouble("E", "m")
    assert trouble({"error.type": "_OTHER"}, raised) == genai.Trouble("E", "m")
    level = {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "m"}
    assert trouble(level) == genai.Trouble(None, "m")
    assert trouble({"langfuse.observation.level": "WARNING"}) is None


@pytest.mark.parametrize(
    ("error_type", "code", "kind"),
    [
        (None, "UNKNOWN", "exception"),
        ("TimeoutError", "EXECUTION_TIMEOUT", "timeout"),
        ("openai.APITimeoutError", "EXECUTION_TIMEOUT", "timeout"),
        ("timeout", "EXECUTION_TIMEOUT", "timeout"),
        ("DEADLINE_EXCEEDED", "EXECUTION_TIMEOUT", "timeout"),
        ("504", "EXECUTION_TIMEOUT", "timeout"),
        ("openai.RateLimitError", "RATE_LIMIT_EXCEEDED", "exception"),
        ("429", "RATE_LIMIT_EXCEEDED", "exception"),
        ("asyncio.CancelledError", "CANCELLED", "exception"),
        ("KeyboardInterrupt", "MANUAL_STOP", "exception"),
        ("MemoryError", "RESOURCE_EXHAUSTION", "exception"),
        ("pydantic.ValidationError", "pydantic.ValidationError", "invalid_output"),
        ("json.JSONDecodeError", "json.JSONDecodeError", "invalid_output"),
        ("KeyError", "KeyError", "exception"),
        ("5040", "5040", "exception"),
    ],
)
def test_error_code_and_failure_type(error_type: str | None, code: str, kind: str) -> None:
    assert genai.error_code(error_type) == code
    assert genai.failure_type(error_type) == kind


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.input.messages",
        "gen_ai.prompt.0.content",
        "gen_ai.tool.call.arguments",
        "input.value",
        "llm.input_messages.0.message.content",
        "langfuse.observation.output",
        "ai.prompt.messages",
        "traceloop.entity.input",
    ],
)
def test_content_is_what_was_said(name: str) -> None:
    assert name not in genai.NAMES
    assert name.startswith(genai.CONTENT)
    said = genai.content({name: "words", "gen_ai.system": "x"}, [("e", {"content": "more"})])
    assert said == {name: "words", "e": [{"content": "more"}]}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (fitting.identifier("a b\0c"), "a-b-c"),
        (fitting.identifier("/" * 200), "/" * 128),
        (fitting.identifier("  "), None),
        (fitting.identifier(7), None),
        (fitting.run_id("a/b"), "a-b"),
        (fitting.slug("A B"), "a_b"),
        (fitting.text("\ud800x\0"), "\ufffdx\ufffd"),
        (fitting.text(" "), None),
        (fitting.text("abc", 2), "ab"),
        (fitting.distinct("short", 10), "short"),
        (fitting.severity("Warning "), 2),
        (fitting.severity("unheard of"), None),
        (fitting.cents("1.00005"), "100.0050"),
        (fitting.cents("x"), None),
        (fitting.cents(9_999_999_999.999_999_999), None),
        (fitting.metadata({}), b""),
        (fitting.metadata({"a": None, "b": 1}), b'{"b":1}'),
        (fitting.metadata({"a": 1, "b": "x" * 20_000, "c": 2}), b'{"a":1}'),
    ],
)
def test_fitting(made: Any, expected: Any) -> None:
    assert made == expected
