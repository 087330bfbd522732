"""CloudEvents 1.0 over HTTP: in binary mode, structured, and in batches.

An event is a report of its type. Its source and id together are its identity, whatever its type.
Members of its data that are named as an alert's fields and fit them are taken for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from config.api import strictjson, values
from config.errors import FieldError, Invalid, UnsupportedMediaType
from incidents.enums import CauseType
from incidents.senders import fitting
from incidents.services.reports import MAX_BATCH, Refusal, Report

TRIGGER: Final = "cloudevent"
VERSION: Final = "1.0"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_PREFIX: Final = "ce-"
_ATTRIBUTES: Final = ("specversion", "id", "source", "type")


@dataclass(slots=True)
class Events:
    """The reports of a request in their order, what could not be read, and whether it was one."""

    reports: list[Report]
    refusals: list[Refusal]
    is_batch: bool

    @property
    def received(self) -> int:
        return len(self.reports) + len(self.refusals)


def read(data: bytes, *, headers: Mapping[str, str], media_type: str, at: datetime) -> Events:
    """The events of a request.

    ``headers`` are its HTTP headers by lower-case name, ``media_type`` that of its body. Invalid
    when a single event, or a batch as such, is not one; UnsupportedMediaType when the request is
    in none of the modes.
    """
    if media_type == BATCH:
        return _batch(strictjson.parse(data), at)
    if media_type == STRUCTURED:
        event = strictjson.loads(data)
    elif f"{_PREFIX}specversion" in headers:
        event = _binary(data, headers, media_type)
    else:
        raise UnsupportedMediaType(
            f"An event has the media type {STRUCTURED} or {BATCH}, or headers that begin with "
            f"{_PREFIX}."
        )
    if errors := _problems(event, at):
        raise Invalid(errors)
    return Events([_report(event)], [], is_batch=False)


def _batch(items: Any, at: datetime) -> Events:
    # A batch of none is one, by the specification.
    if not isinstance(items, list) or len(items) > MAX_BATCH:
        raise Invalid.field("", f"must be a list of at most {MAX_BATCH:,} events")
    events = Events([], [], is_batch=True)
    for index, item in enumerate(items):
        errors = strictjson.problems(item) or _problems(item, at)
        if errors:
            events.refusals.append(Refusal(index, tuple(errors)))
        else:
            events.reports.append(_report(item))
    return events


def _binary(data: bytes, headers: Mapping[str, str], media_type: str) -> dict[str, Any]:
    """The event as it would be in structured mode."""
    event: dict[str, Any] = {}
    errors = []
    for name, value in headers.items():
        if not name.startswith(_PREFIX):
            continue
        attribute = name.removeprefix(_PREFIX)
        try:
            # Header values come as Latin-1; what they mean is UTF-8, percent-encoded.
            event[attribute] = unquote(value.encode("latin-1").decode(), errors="strict")
        except UnicodeError:
            errors.append(FieldError(strictjson.pointer(attribute), "is not valid UTF-8"))
    if errors:
        raise Invalid(errors)
    strictjson.check(event)
    event["datacontenttype"] = media_type
    if data and (media_type == "application/json" or media_type.endswith("+json")):
        try:
            event["data"] = strictjson.loads(data)
        except Invalid as error:
            raise Invalid(
                [FieldError(f"/data{found.pointer}", found.detail) for found in error.errors]
            ) from None
    elif data and media_type.startswith("text/"):
        event["data"] = data.decode(errors="replace")
    return event


def _problems(event: Any, at: datetime) -> list[FieldError]:
    if not isinstance(event, dict):
        return [FieldError("", "must be a JSON object")]
    errors = [
        FieldError(f"/{name}", "must be a string of 1 character or more")
        for name in _ATTRIBUTES
        if not isinstance(event.get(name), str) or not event[name]
    ]
    if isinstance(event.get("specversion"), str) and event["specversion"] not in ("", VERSION):
        errors.append(FieldError("/specversion", f"must be {VERSION!r}"))
    source = event.get("source")
    if isinstance(source, str) and (not source.isprintable() or " " in source):
        errors.append(FieldError("/source", "must be a URI reference"))
    time = event.get("time")
    if time is not None:
        try:
            moment = values.parse_timestamp(time)
        except (ValueError, TypeError) as error:
            detail = str(error) if isinstance(error, ValueError) else values.TIMESTAMP_DETAIL
            errors.append(FieldError("/time", detail))
        else:
            if late := fitting.ahead(moment, at=at, pointer="/time"):
                errors.append(late)
    return errors


def _report(event: dict[str, Any]) -> Report:
    data = event.get("data")
    # An extension attribute may say what the data does not.
    said = {**event, **data} if isinstance(data, dict) else event
    type_ = fitting.text(event["type"], 200) or "-"
    subject = fitting.text(event.get("subject"))
    message = fitting.text(said.get("error_message")) or fitting.text(said.get("message"))
    return Report(
        trigger_type=TRIGGER,
        trigger_value=fitting.text(event["source"]),
        group_key=fitting.text(said.get("group_key"), fitting.MAX_GROUP)
        or fitting.distinct(event["type"], fitting.MAX_GROUP),
        # A source holds no space, so the two cannot run into each other.
        call_id=fitting.distinct(f"{event['source']} {event['id']}", fitting.MAX_CALL_ID),
        occurred_at=values.parse_timestamp(event["time"]) if event.get("time") else None,
        cost_delta_cents=_money(said.get("cost_delta_cents")),
        run_id=_matching(values.RUN_ID, said.get("run_id")),
        agent_id=_matching(values.IDENTIFIER, said.get("agent_id")),
        model=fitting.text(said.get("model"), 200),
        error_code=fitting.text(said.get("error_code"), 200),
        error_message=message,
        category=_matching(values.SLUG, said.get("category")),
        metadata=fitting.metadata({"type": event["type"], "subject": subject, "data": data}),
        severity=fitting.severity(said.get("severity")),
        title=f"{type_}: {message}"[:200] if message else type_,
        cause_type=CauseType.SYSTEM,
    )


def _matching(pattern: Any, value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _money(value: Any) -> str | None:
    return _matching(values.MONEY, value)
