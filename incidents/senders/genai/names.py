"""The names of attributes, in use and superseded, and what the words in them mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
KINDS: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    ("openinference.span.kind", _OPENINFERENCE),
    ("langfuse.observation.type", _LANGFUSE),
    ("traceloop.span.kind", _OPENLLMETRY),
    ("llm.request.type", _OPENLLMETRY_REQUEST),
    ("ai.operationId", _VERCEL),
)
OPERATION: Final = "gen_ai.operation.name"

AGENT: Final = "invoke_agent"
TOOL: Final = "execute_tool"
# The work that a model is asked for: only its tokens and costs are summed up for a run, because
# the spans around it repeat them.
MODEL_CALLS: Final = frozenset(
    {"chat", "text_completion", "generate_content", "embeddings", "rerank", "responses"}
)
PLAIN: Final = "span"

TOOL_NAMES: Final = (
    "gen_ai.tool.name",
    "tool.name",
    "tool_call.function.name",
    "ai.toolCall.name",
)
AGENT_NAMES: Final = ("gen_ai.agent.id", "gen_ai.agent.name", "agent.name", "agent.id")
MODEL_NAMES: Final = (
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
PROVIDER_NAMES: Final = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
)
INPUT_TOKENS: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
)
OUTPUT_TOKENS: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
TOTAL_TOKENS: Final = (
    "gen_ai.usage.total_tokens",
    "llm.token_count.total",
    "llm.usage.total_tokens",
    "ai.usage.totalTokens",
)
# In US dollars, as all of these are by their definition.
COSTS: Final = ("gen_ai.usage.cost", "llm.cost.total", "operation.cost")
LANGFUSE_USAGE: Final = "langfuse.observation.usage_details"
LANGFUSE_COST: Final = "langfuse.observation.cost_details"
LANGFUSE_LEVEL: Final = "langfuse.observation.level"
LANGFUSE_MESSAGE: Final = "langfuse.observation.status_message"
AS_ROOT: Final = "langfuse.internal.as_root"
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"

NAMES: Final = frozenset(
    {
        OPERATION,
        *(name for name, _ in KINDS),
        *TOOL_NAMES,
        *AGENT_NAMES,
        *MODEL_NAMES,
        *PROVIDER_NAMES,
        *INPUT_TOKENS,
        *OUTPUT_TOKENS,
        *TOTAL_TOKENS,
        *COSTS,
        LANGFUSE_USAGE,
        LANGFUSE_COST,
        LANGFUSE_LEVEL,
        LANGFUSE_MESSAGE,
        AS_ROOT,
        ERROR_TYPE,
        EXCEPTION_TYPE,
        EXCEPTION_MESSAGE,
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
