"""What the attributes of a span say about calls of models, tools and agents.

The names are those of OpenTelemetry's conventions for generative AI, in use and superseded, and
those of OpenInference, Langfuse, OpenLLMetry and the Vercel AI SDK. The first that is present
decides; what is of a wrong type counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from config.api.strictjson import MAX_INTEGER
from incidents.enums import FailureType
from incidents.senders import fitting

Attributes = Mapping[str, Any]

# What kind of work a span is, by the attribute that says so and the word that it uses.
_OPENINFERENCE: Final = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "chain",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluation",
    "PROMPT": "prompt",
}
_LANGFUSE: Final = {
    "generation": "chat",
    "embedding": "embeddings",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "chain": "chain",
    "retriever": "retrieval",
    "guardrail": "guardrail",
    "evaluator": "evaluation",
    "event": "event",
}
_OPENLLMETRY: Final = {
    "workflow": "invoke_workflow",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "task": "task",
}
_OPENLLMETRY_REQUEST: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
}
_VERCEL: Final = {
    "ai.generateText.doGenerate": "chat",
    "ai.streamText.doStream": "chat",
    "ai.generateObject.doGenerate": "chat",
    "ai.streamObject.doStream": "chat",
    "ai.embed.doEmbed": "embeddings",
    "ai.embedMany.doEmbed": "embeddings",
    "ai.toolCall": "execute_tool",
    # The outer spans repeat what their inner ones used.
    "ai.generateText": "invoke_agent",
    "ai.streamText": "invoke_agent",
    "ai.generateObject": "invoke_agent",
    "ai.streamObject": "invoke_agent",
}
_KINDS: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    ("openinference.span.kind", _OPENINFERENCE),
    ("langfuse.observation.type", _LANGFUSE),
    ("traceloop.span.kind", _OPENLLMETRY),
    ("llm.request.type", _OPENLLMETRY_REQUEST),
    ("ai.operationId", _VERCEL),
)
_OPERATION: Final = "gen_ai.operation.name"

AGENT: Final = "invoke_agent"
TOOL: Final = "execute_tool"
# The work that a model is asked for: only its tokens and costs are summed up for a run, because
# the spans around it repeat them.
MODEL_CALLS: Final = frozenset(
    {"chat", "text_completion", "generate_content", "embeddings", "rerank", "responses"}
)
PLAIN: Final = "span"

_TOOL_NAMES: Final = (
    "gen_ai.tool.name",
    "tool.name",
    "tool_call.function.name",
    "ai.toolCall.name",
)
_AGENT_NAMES: Final = ("gen_ai.agent.id", "gen_ai.agent.name", "agent.name", "agent.id")
_MODEL_NAMES: Final = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "langfuse.observation.model.name",
    "llm.request.model",
    "llm.response.model",
    "ai.model.id",
)
_PROVIDER_NAMES: Final = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
)
_INPUT_TOKENS: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
_OUTPUT_TOKENS: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
_TOTAL_TOKENS: Final = (
    "gen_ai.usage.total_tokens",
    "llm.token_count.total",
    "llm.usage.total_tokens",
    "ai.usage.totalTokens",
)
# In US dollars, as all of these are by their definition.
_COSTS: Final = ("gen_ai.usage.cost", "llm.cost.total", "operation.cost")
_LANGFUSE_USAGE: Final = "langfuse.observation.usage_details"
_LANGFUSE_COST: Final = "langfuse.observation.cost_details"
_LANGFUSE_LEVEL: Final = "langfuse.observation.level"
_LANGFUSE_MESSAGE: Final = "langfuse.observation.status_message"
_AS_ROOT: Final = "langfuse.internal.as_root"
_ERROR_TYPE: Final = "error.type"
_EXCEPTION_TYPE: Final = "exception.type"
_EXCEPTION_MESSAGE: Final = "exception.message"

NAMES: Final = frozenset(
    {
        _OPERATION,
        *(name for name, _ in _KINDS),
        *_TOOL_NAMES,
        *_AGENT_NAMES,
        *_MODEL_NAMES,
        *_PROVIDER_NAMES,
        *_INPUT_TOKENS,
        *_OUTPUT_TOKENS,
        *_TOTAL_TOKENS,
        *_COSTS,
        _LANGFUSE_USAGE,
        _LANGFUSE_COST,
        _LANGFUSE_LEVEL,
        _LANGFUSE_MESSAGE,
        _AS_ROOT,
        _ERROR_TYPE,
        _EXCEPTION_TYPE,
        _EXCEPTION_MESSAGE,
    }
)
# What people and models said, and what tools were given and gave back.
CONTENT: Final = (
    "gen_ai.input.",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.",
    "gen_ai.event.content",
    "content",
    "message",
    "input.value",
    "output.value",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.completions",
    "retrieval.documents",
    "tool.parameters",
    "tool_call.function.arguments",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "ai.prompt",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
)
# What a run was asked to do, in the order of preference; read of its root.
GOALS: Final = (
    "gen_ai.input.messages",
    "langfuse.trace.input",
    "langfuse.observation.input",
    "input.value",
    "traceloop.entity.input",
    "gen_ai.prompt",
    "ai.prompt",
)


@dataclass(slots=True)
class Work:
    """What a span was, in the words of the conventions.

    ``operation`` is one of theirs (chat, execute_tool, invoke_agent, ...) or ``span``;
    ``cost_cents`` a decimal string of cents; ``is_root`` says that the span was made the root of
    its trace although it names a parent.
    """

    operation: str
    tool: str | None
    agent_id: str | None
    model: str | None
    provider: str | None
    input_tokens: int | None
    output_tokens: int | None
    tokens: int | None
    cost_cents: str | None
    is_root: bool

    @property
    def is_model_call(self) -> bool:
        return self.operation in MODEL_CALLS


@dataclass(slots=True)
class Trouble:
    """What went wrong in a span: the kind of error (a class or a code) and its message."""

    error_type: str | None
    message: str | None


def read(attributes: Attributes, *, name: str) -> Work:
    """What a span of this name, with these attributes, was."""
    tool_name, model_name, agent_name, provider, *counts = _first(attributes)
    tool = fitting.text(tool_name, 200)
    model = fitting.text(model_name, 200)
    agent_id = fitting.identifier(agent_name)
    spent, made, total = map(_count, counts)
    if _LANGFUSE_USAGE in attributes:
        spent, made, total = _langfuse_usage(attributes, spent, made, total)
    if total is None and (spent is not None or made is not None):
        total = _count((spent or 0) + (made or 0))
    cost = None
    for key in _COSTS:
        if key in attributes and (cost := fitting.cents(attributes[key])) is not None:
            break
    if cost is None and _LANGFUSE_COST in attributes:
        cost = _langfuse_cost(attributes)
    operation = _operation(attributes, has_tool=tool is not None, has_tokens=total is not None)
    # OpenInference and Langfuse name a tool and an agent by the span.
    if operation == TOOL and tool is None:
        tool = fitting.text(name, 200)
    elif operation == AGENT and agent_id is None:
        agent_id = fitting.identifier(name)
    return Work(
        operation=operation,
        tool=tool,
        agent_id=agent_id,
        model=model,
        provider=fitting.text(provider, 200),
        input_tokens=spent,
        output_tokens=made,
        tokens=total,
        cost_cents=cost,
        is_root=attributes.get(_AS_ROOT) is True,
    )


def trouble(
    attributes: Attributes, *, failed: bool, message: str, exceptions: list[dict[str, Any]]
) -> Trouble | None:
    """What went wrong in a span; None when nothing did.

    A span is in trouble by its status, by an exception event, and by Langfuse's level.
    """
    if not failed and not exceptions and attributes.get(_LANGFUSE_LEVEL) != "ERROR":
        return None
    # The last exception is the one that ended the span, if any did.
    exception = exceptions[-1] if exceptions else {}
    kind = fitting.text(attributes.get(_ERROR_TYPE), 200)
    return Trouble(
        error_type=fitting.text(exception.get(_EXCEPTION_TYPE), 200)
        if kind in (None, "_OTHER")
        else kind,
        message=fitting.text(message)
        or fitting.text(attributes.get(_LANGFUSE_MESSAGE))
        or fitting.text(exception.get(_EXCEPTION_MESSAGE)),
    )


def content(attributes: Attributes, events: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What was said in a span, by the names it came under; only what was decoded."""
    said = {name: value for name, value in attributes.items() if name not in NAMES}
    for name, members in events:
        kept = {key: value for key, value in members.items() if key not in NAMES}
        if kept:
            said.setdefault(name, []).append(kept)
    return said


_FAMILIES: Final = (
    (_TOOL_NAMES, str),
    (_MODEL_NAMES, str),
    (_AGENT_NAMES, str),
    (_PROVIDER_NAMES, str),
    (_INPUT_TOKENS, int),
    (_OUTPUT_TOKENS, int),
    (_TOTAL_TOKENS, int),
)
# By name: its family, its place in there, and of which type its value has to be.
_PLACES: Final[dict[str, tuple[int, int, type]]] = {
    name: (family, place, kind)
    for family, (names, kind) in enumerate(_FAMILIES)
    for place, name in enumerate(names)
}
_NO_PLACE: Final = 1_000


def _first(attributes: Attributes) -> list[Any]:
    """Of each family of names, in their order, the value of the first that is present."""
    # Over the attributes, which are few, and not over all the names that they could have.
    found: list[Any] = [None] * len(_FAMILIES)
    places = [_NO_PLACE] * len(_FAMILIES)
    for name, value in attributes.items():
        known = _PLACES.get(name)
        if known is None:
            continue
        family, place, kind = known
        if place < places[family] and type(value) is kind and value != "":
            found[family], places[family] = value, place
    return found


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def _operation(attributes: Attributes, *, has_tool: bool, has_tokens: bool) -> str:
    if operation := fitting.slug(attributes.get(_OPERATION)):
        return operation
    for name, words in _KINDS:
        word = attributes.get(name)
        if isinstance(word, str) and (known := words.get(word)):
            return known
    if has_tool:
        return TOOL
    return "chat" if has_tokens else PLAIN


def _langfuse_usage(
    attributes: Attributes, spent: int | None, made: int | None, total: int | None
) -> tuple[int | None, int | None, int | None]:
    usage = _object(attributes.get(_LANGFUSE_USAGE))

    def first(*names: str) -> int | None:
        return next((n for n in (_count(usage.get(name)) for name in names) if n is not None), None)

    return (
        spent if spent is not None else first("input", "input_tokens", "prompt_tokens"),
        made if made is not None else first("output", "output_tokens", "completion_tokens"),
        total if total is not None else first("total", "total_tokens"),
    )


def _langfuse_cost(attributes: Attributes) -> str | None:
    costs = _object(attributes.get(_LANGFUSE_COST))
    if "total" in costs:
        return fitting.cents(costs["total"])
    parts = [value for value in costs.values() if type(value) in (int, float)]
    return fitting.cents(sum(parts)) if parts else None


_decode_object: Final[Callable[[str], dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any]).decode


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, str):
        return value if isinstance(value, dict) else {}
    try:
        return _decode_object(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}


# The kinds of error that have a code of ours, by what their names have in common.
_CODES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("EXECUTION_TIMEOUT", re.compile(r"time.?d?.?out|deadline.?exceeded|^(408|504)$", re.I)),
    (
        "RATE_LIMIT_EXCEEDED",
        re.compile(r"rate.?limit|too.?many.?requests|throttl|quota|^429$", re.I),
    ),
    ("BUDGET_EXCEEDED", re.compile(r"budget", re.I)),
    ("CANCELLED", re.compile(r"cancell?ed|^499$", re.I)),
    ("MANUAL_STOP", re.compile(r"keyboard.?interrupt|sigint", re.I)),
    (
        "RESOURCE_EXHAUSTION",
        re.compile(r"memory.?error|out.?of.?memory|resource.?exhausted", re.I),
    ),
    ("RETRY_EXHAUSTED", re.compile(r"retry.?error|retries.?exceeded|max.?retries", re.I)),
)
_INVALID_OUTPUT: Final = re.compile(
    r"valid|pars(er|ing)|json.?decode|unexpected.?model.?behaviou?r", re.I
)


def error_code(error_type: str | None) -> str:
    """Our code for a kind of error; the kind itself when we have none for it."""
    if error_type is None:
        return "UNKNOWN"
    return next((code for code, names in _CODES if names.search(error_type)), error_type)


def failure_type(error_type: str | None) -> FailureType:
    """What sort of failure a kind of error is."""
    if error_code(error_type) == "EXECUTION_TIMEOUT":
        return FailureType.TIMEOUT
    if error_type is not None and _INVALID_OUTPUT.search(error_type):
        return FailureType.INVALID_OUTPUT
    return FailureType.EXCEPTION
