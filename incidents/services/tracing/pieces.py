"""What a span becomes: a step, and in trouble an alert or a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from incidents import facts
from incidents.enums import RunStatus
from incidents.senders import fitting, genai, otlp
from incidents.senders.redaction import Redactor
from incidents.services.failures import Failing
from incidents.services.reports import Report
from incidents.services.traces import StepFacts

MAX_CONTENT: Final = 1024 * 1024
_PROMPT_LEFT_OUT: Final = "what was said is over 1 MiB"

# What an alert about a span in trouble is reported as, by what the span did.
_TRIGGERS: Final = {genai.TOOL: "tool_error", genai.AGENT: "agent_error"}
_MODEL_TRIGGER: Final = "llm_error"
_OTHER_TRIGGER: Final = "span_error"


@dataclass(slots=True)
class Piece:
    """A span with what it was, what went wrong in it, and the step that it becomes."""

    span: otlp.Span
    work: genai.Work
    trouble: genai.Trouble | None
    goal: str | None
    content: str
    is_root: bool

    @property
    def failure(self) -> genai.Trouble | None:
        """What the span failed of; None when its status says OK: it got over its trouble."""
        return None if self.span.succeeded else self.trouble

    @property
    def is_failed_root(self) -> bool:
        return self.is_root and self.failure is not None


def piece_of(span: otlp.Span, redactor: Redactor, *, keep_prompts: bool) -> Piece:
    """What a span says, with everything that is kept of it redacted."""
    attributes = span.attributes
    work = genai.read(attributes, name=span.name)
    trouble = genai.trouble(
        attributes, failed=span.failed, message=span.message, exceptions=span.exceptions
    )
    if trouble is not None and trouble.message is not None:
        # An exception may quote what was said.
        trouble.message = redactor.text(trouble.message)[: fitting.MAX_TEXT]
    said: dict[str, Any] = {}
    if keep_prompts:
        said = redactor.value(genai.content(attributes, span.events))
    return Piece(
        span=span,
        work=work,
        trouble=trouble,
        goal=_goal(said),
        content=_content(span, work, trouble, said),
        is_root=not span.parent_id or work.is_root,
    )


def _goal(said: Mapping[str, Any]) -> str | None:
    """What a run was asked to do, if this is its root and it was kept."""
    if not said:
        return None
    return next((text for name in genai.GOALS if (text := _words(said.get(name)))), None)


def _words(said: Any) -> str | None:
    if said is None or isinstance(said, str):
        return fitting.text(said, 10_000)
    return fitting.text(msgspec.json.encode(said).decode(), 10_000)


class _Content(msgspec.Struct, omit_defaults=True, gc=False):
    name: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    service: str | None = None
    operation: str | None = None
    tool: str | None = None
    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    said: Mapping[str, Any] | str | None = None


_encode: Final = msgspec.json.Encoder().encode


def _content(
    span: otlp.Span, work: genai.Work, trouble: genai.Trouble | None, said: Mapping[str, Any]
) -> str:
    """The JSON that a step has for its content: what the contract's step has no field for."""
    content = _Content(
        name=fitting.text(span.name, 500),
        span_id=span.span_id,
        parent_span_id=span.parent_id or None,
        service=fitting.text(span.service, 200),
        operation=work.operation,
        tool=work.tool,
        model=work.model,
        provider=work.provider,
        input_tokens=work.input_tokens,
        output_tokens=work.output_tokens,
        error_type=trouble.error_type if trouble else None,
        error_message=trouble.message if trouble else None,
        said=said or None,
    )
    encoded = _encode(content)
    if len(encoded) > MAX_CONTENT:
        content.said = _PROMPT_LEFT_OUT
        encoded = _encode(content)
    return encoded.decode()


def alert_of(piece: Piece) -> Report:
    """The report that a span in trouble is; its call is the span."""
    span, work, trouble = piece.span, piece.work, piece.trouble
    error_type = trouble.error_type if trouble else None
    code = genai.error_code(error_type)
    trigger = _TRIGGERS.get(work.operation, _OTHER_TRIGGER)
    subject = work.tool or work.agent_id
    if work.is_model_call:
        trigger, subject = _MODEL_TRIGGER, work.model
    subject = subject or fitting.text(span.name, 200) or work.operation
    return Report(
        trigger_type=trigger,
        trigger_value=fitting.text(span.name, 200),
        group_key=fitting.distinct(f"{subject}: {code}", fitting.MAX_GROUP),
        call_id=span.span_id,
        occurred_at=span.ended_at,
        cost_delta_cents=work.cost_cents if work.is_model_call else None,
        run_id=span.trace_id,
        agent_id=work.agent_id,
        model=work.model,
        error_code=code,
        error_message=trouble.message if trouble else None,
        category=facts.category_of_error(code),
        metadata=fitting.metadata(_metadata(piece)),
    )


def failing_of(piece: Piece) -> Failing:
    """The failure of its run that a root in trouble is; its request is the span."""
    span, work, trouble = piece.span, piece.work, piece.trouble
    error_type = trouble.error_type if trouble else None
    return Failing(
        run_id=span.trace_id,
        failure_type=genai.failure_type(error_type),
        error_code=genai.error_code(error_type),
        error_message=trouble.message if trouble else None,
        model=work.model,
        agent_id=agent_of(piece),
        request_id=span.span_id,
        duration_ms=span.duration_ms,
        cost_cents=work.cost_cents if work.is_model_call else None,
        metadata=_metadata(piece),
        occurred_at=span.ended_at,
    )


def _metadata(piece: Piece) -> dict[str, Any]:
    members = {
        "span": fitting.text(piece.span.name, 500),
        "operation": piece.work.operation,
        "tool": piece.work.tool,
        "provider": piece.work.provider,
        "service": fitting.text(piece.span.service, 200),
        "error_type": piece.trouble.error_type if piece.trouble else None,
    }
    return {name: value for name, value in members.items() if value is not None}


def agent_of(piece: Piece) -> str | None:
    """The agent of a root: its own, else the service that it ran in."""
    service = piece.span.service or ""
    if piece.work.agent_id is not None or service.startswith("unknown_service"):
        return piece.work.agent_id
    return fitting.identifier(service)


def step_of(piece: Piece, index: int) -> StepFacts:
    """The step that a span becomes at this place of its trace."""
    span, work = piece.span, piece.work
    return StepFacts(
        step_index=index,
        timestamp=span.started_at,
        step_type=work.operation,
        agent_id=work.agent_id,
        tokens=work.tokens,
        cost_cents=None if work.cost_cents is None else Decimal(work.cost_cents),
        duration_ms=span.duration_ms,
        status=RunStatus.FAILED if piece.failure else RunStatus.SUCCEEDED,
        content=piece.content,
    )
