"""What a span was, and what was said in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from config.api.strictjson import MAX_INTEGER
from incidents.senders import fitting
from incidents.senders.genai.names import (
    AGENT,
    AGENT_NAMES,
    AS_ROOT,
    COSTS,
    INPUT_TOKENS,
    KINDS,
    LANGFUSE_COST,
    LANGFUSE_USAGE,
    MODEL_CALLS,
    MODEL_NAMES,
    NAMES,
    OPERATION,
    OUTPUT_TOKENS,
    PLAIN,
    PROVIDER_NAMES,
    TOOL,
    TOOL_NAMES,
    TOTAL_TOKENS,
)

Attributes = Mapping[str, Any]


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


def read(attributes: Attributes, *, name: str) -> Work:
    """What a span of this name, with these attributes, was."""
    tool_name, model_name, agent_name, provider, *counts = _first(attributes)
    tool = fitting.text(tool_name, 200)
    model = fitting.text(model_name, 200)
    agent_id = fitting.identifier(agent_name)
    spent, made, total = map(_count, counts)
    if LANGFUSE_USAGE in attributes:
        spent, made, total = _langfuse_usage(attributes, spent, made, total)
    if total is None and (spent is not None or made is not None):
        total = _count((spent or 0) + (made or 0))
    cost = None
    for key in COSTS:
        if key in attributes and (cost := fitting.cents(attributes[key])) is not None:
            break
    if cost is None and LANGFUSE_COST in attributes:
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
        is_root=attributes.get(AS_ROOT) is True,
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
    (TOOL_NAMES, str),
    (MODEL_NAMES, str),
    (AGENT_NAMES, str),
    (PROVIDER_NAMES, str),
    (INPUT_TOKENS, int),
    (OUTPUT_TOKENS, int),
    (TOTAL_TOKENS, int),
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
    if operation := fitting.slug(attributes.get(OPERATION)):
        return operation
    for name, words in KINDS:
        word = attributes.get(name)
        if isinstance(word, str) and (known := words.get(word)):
            return known
    if has_tool:
        return TOOL
    return "chat" if has_tokens else PLAIN


def _langfuse_usage(
    attributes: Attributes, spent: int | None, made: int | None, total: int | None
) -> tuple[int | None, int | None, int | None]:
    usage = _object(attributes.get(LANGFUSE_USAGE))

    def first(*names: str) -> int | None:
        return next((n for n in (_count(usage.get(name)) for name in names) if n is not None), None)

    return (
        spent if spent is not None else first("input", "input_tokens", "prompt_tokens"),
        made if made is not None else first("output", "output_tokens", "completion_tokens"),
        total if total is not None else first("total", "total_tokens"),
    )


def _langfuse_cost(attributes: Attributes) -> str | None:
    costs = _object(attributes.get(LANGFUSE_COST))
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
