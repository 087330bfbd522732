"""Replaces the input half of the incident aggregator: what an alert may say, and reading it.

Bytes go in; :class:`Report` objects and named refusals come out. A clean batch is decoded and
validated by msgspec in one pass of C. Only when that refuses something is the input read again,
slowly, to say for every bad alert which fields are wrong and why.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta, Struct

from config.api import strictjson
from config.errors import FieldError, Invalid
from incidents.enums import CauseType, Severity, SourceType
from incidents.facts import TRIGGER_OVERFLOW

MAX_BATCH: Final = 1_000
MAX_LINES: Final = 10_000
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_AHEAD: Final = timedelta(minutes=5)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Only lengths: which characters these may have is checked a column at a time, which is several
# times faster than a pattern for each value (see _are_acceptable).
Slug = Annotated[str, Meta(min_length=1, max_length=50)]
Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Money = Annotated[str, Meta(min_length=1, max_length=17)]
Short = Annotated[str, Meta(min_length=1, max_length=200)]
Scenario = Annotated[str, Meta(min_length=1, max_length=128)]
Long = Annotated[str, Meta(max_length=2000)]
Moment = Annotated[datetime, Meta(tz=True)]

_RAW_NOTHING: Final = msgspec.Raw(b"")


class Alert(Struct, forbid_unknown_fields=True, gc=False):
    """One alert as a caller sends it: the contract's fields, nothing else.

    ``cost_delta_cents`` is a decimal string of cents; ``metadata`` the bytes of a JSON object,
    kept as they were sent. The class variables are what an alert cannot say of itself and
    :class:`Report` can.
    """

    trigger_type: Slug
    trigger_value: Long | None = None
    group_key: Short | None = None
    call_id: Identifier | None = None
    occurred_at: Moment | None = None
    cost_delta_cents: Money | None = None
    run_id: Identifier | None = None
    agent_id: Identifier | None = None
    model: Short | None = None
    error_code: Short | None = None
    error_message: Long | None = None
    category: Slug | None = None
    auto_action: Short | None = None
    metadata: msgspec.Raw = _RAW_NOTHING
    is_synthetic: bool | None = None
    synthetic_scenario_id: Scenario | None = None

    severity: ClassVar[Severity | None] = None
    title: ClassVar[str | None] = None
    description: ClassVar[str] = ""
    cause_type: ClassVar[CauseType] = CauseType.LLM_RUN
    source_type: ClassVar[SourceType] = SourceType.ALERT


@dataclass(slots=True, kw_only=True)
class Report:
    """A report from another service (a failure, a violation, an anomaly) to the same door.

    As :class:`Alert`, and besides: ``severity`` overrides what the trigger would give, ``title``,
    ``description``, ``cause_type`` and ``source_type`` describe the incident it may open. Its
    ``call_id`` is whatever makes the report one of a kind, of at most 400 characters.
    """

    trigger_type: str
    trigger_value: str | None = None
    group_key: str | None = None
    call_id: str | None = None
    occurred_at: datetime | None = None
    cost_delta_cents: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    model: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    category: str | None = None
    auto_action: str | None = None
    metadata: bytes = b""
    is_synthetic: bool | None = None
    synthetic_scenario_id: str | None = None
    severity: Severity | None = None
    title: str | None = None
    description: str = ""
    cause_type: CauseType = CauseType.LLM_RUN
    source_type: SourceType = SourceType.ALERT


AnyReport = Alert | Report


@dataclass(frozen=True, slots=True)
class Refusal:
    """An alert that was rejected: its place in the batch, counted from 0, and what is wrong."""

    index: int
    errors: tuple[FieldError, ...]


@dataclass(slots=True)
class Intake:
    """A batch that was read: the good alerts in order, and the refusals."""

    alerts: list[Alert] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def received(self) -> int:
        return len(self.alerts) + len(self.refusals)


class _Batch(Struct, forbid_unknown_fields=True):
    alerts: list[Alert]


_alert_decoder = msgspec.json.Decoder(Alert)
_lines_decoder: msgspec.json.Decoder[Alert] = msgspec.json.Decoder(Alert)
_batch_decoder = msgspec.json.Decoder(_Batch)

_SLUG = "must be 1 to 50 characters of a-z, 0-9, '_', '.' and '-'"
_IDENTIFIER = "must be 1 to 128 characters of A-Z, a-z, 0-9 and ._:@/+=-"
_SHORT = "must be a string of 1 to 200 characters"
_LONG = "must be a string of at most 2,000 characters"

_DESCRIPTION: Final[dict[str, str]] = {
    "trigger_type": _SLUG,
    "trigger_value": _LONG,
    "group_key": _SHORT,
    "call_id": _IDENTIFIER,
    "occurred_at": "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z",
    "cost_delta_cents": (
        "must be a decimal string of cents, not negative, with at most 12 digits before the "
        "point and 4 after"
    ),
    "run_id": "must be 1 to 128 characters of A-Z, a-z, 0-9 and ._:@+=-",
    "agent_id": _IDENTIFIER,
    "model": _SHORT,
    "error_code": _SHORT,
    "error_message": _LONG,
    "category": _SLUG,
    "auto_action": _SHORT,
    "metadata": "must be a JSON object of at most 16 KiB",
    "is_synthetic": "must be true or false",
    "synthetic_scenario_id": "must be a string of 1 to 128 characters",
}

_WORD = string.ascii_letters + string.digits
_SLUG_CHARACTERS: Final = (string.ascii_lowercase + string.digits + "_.-").encode()
_RUN_CHARACTERS: Final = (_WORD + "._:@+=-").encode()
_ALLOWED: Final = {
    "trigger_type": _SLUG_CHARACTERS,
    "category": _SLUG_CHARACTERS,
    "call_id": _RUN_CHARACTERS + b"/",
    "agent_id": _RUN_CHARACTERS + b"/",
    "run_id": _RUN_CHARACTERS,
}
_MONEY: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,4})?\n)*")
# What may hide something that msgspec lets through and the database or the contract does not:
# escapes (NUL), numbers that are too long or too large, deep nesting. A number such as 1e9 is
# stored four times as long as it was sent, hence the length.
_SUSPICIOUS_METADATA = re.compile(rb"\\u|[0-9]{16}|[eE][+-]?[0-9]{2}")
_SAFE_BRACKETS = 24
_SAFE_METADATA_BYTES = MAX_METADATA_BYTES // 4
_MAX_ERRORS = 20
_PIECE: Final = 500
# What decoding raises for a text that has to be explained; the last by nesting without end.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# The one character that msgspec decodes and neither the contract nor PostgreSQL allows.
_NUL_ESCAPE = b"\\u0000"


def read_alert(data: bytes, *, at: datetime) -> Alert:
    """The one alert that ``data`` is; Invalid naming every bad field when it is not."""
    try:
        if _NUL_ESCAPE in data:
            raise msgspec.ValidationError
        alert = _alert_decoder.decode(data)
        if _are_acceptable([alert], _latest(at)):
            return alert
    except _UNREADABLE:
        pass
    value, errors = _examined(data)
    alert_or_errors = errors or _explain(value, _latest(at))
    if isinstance(alert_or_errors, Alert):
        return alert_or_errors
    raise Invalid(alert_or_errors)


def read_batch(data: bytes, *, at: datetime) -> Intake:
    """The alerts of ``{"alerts": [...]}``, 1 to 1,000; Invalid when it is not of that form."""
    latest = _latest(at)
    try:
        if _NUL_ESCAPE in data:
            raise msgspec.ValidationError
        alerts = _batch_decoder.decode(data).alerts
        if 1 <= len(alerts) <= MAX_BATCH and _are_acceptable(alerts, latest):
            return Intake(alerts)
    except _UNREADABLE:
        pass
    value = strictjson.parse(data)
    if not isinstance(value, dict):
        raise Invalid.field("", 'must be a JSON object {"alerts": [...]}')
    if unknown := _unknown(value, {"alerts"}):
        raise Invalid(unknown)
    if "alerts" not in value:
        raise Invalid.field("/alerts", "is required")
    items = value["alerts"]
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
        raise Invalid.field("/alerts", f"must be a list of 1 to {MAX_BATCH:,} alerts")
    intake = Intake()
    for index, item in enumerate(items):
        _sort(intake, index, _explain(item, latest))
    return intake


def read_lines(lines: Sequence[bytes], *, at: datetime) -> Intake:
    """The alerts of NDJSON lines, without their line ends; every bad line is a refusal.

    How many there may be, and which blank lines are skipped, is the caller's to decide.
    """
    latest = _latest(at)
    alerts: list[Alert] = []
    try:
        # In pieces, because meanwhile no other thread can go on.
        for start in range(0, len(lines), _PIECE):
            piece = b"\n".join(lines[start : start + _PIECE])
            if _NUL_ESCAPE in piece:
                raise msgspec.ValidationError
            alerts += _lines_decoder.decode_lines(piece)
        if len(alerts) == len(lines) and _are_acceptable(alerts, latest):
            return Intake(alerts)
    except _UNREADABLE:
        pass
    intake = Intake()
    decode = _alert_decoder.decode
    for index, line in enumerate(lines):
        try:
            if _NUL_ESCAPE not in line:
                alert = decode(line)
                if _are_acceptable([alert], latest):
                    intake.alerts.append(alert)
                    continue
        except _UNREADABLE:
            pass
        value, errors = _examined(line)
        _sort(intake, index, errors or _explain(value, latest))
    return intake


def _latest(at: datetime) -> datetime:
    return at + MAX_AHEAD


def _sort(intake: Intake, index: int, result: Alert | Sequence[FieldError]) -> None:
    if isinstance(result, Alert):
        intake.alerts.append(result)
    else:
        intake.refusals.append(Refusal(index, tuple(result)))


def _are_acceptable(alerts: Sequence[Alert], latest: datetime) -> bool:
    """Whether decoded alerts hold what the type alone cannot say, without saying why not."""
    for name, allowed in _ALLOWED.items():
        values = _given(name, alerts)
        if values and not _is_spelled(values, allowed):
            return False
        if name == "trigger_type" and TRIGGER_OVERFLOW in values:
            return False
    if not _are_money(_given("cost_delta_cents", alerts)):
        return False
    times = _given("occurred_at", alerts)
    if times and not (min(times) >= _EPOCH and max(times) <= latest):
        return False
    return all(
        [
            _is_sound_object(bytes(metadata))
            for alert in alerts
            if (metadata := alert.metadata) is not _RAW_NOTHING
        ]
    )


def _given(name: str, alerts: Sequence[Alert]) -> list[Any]:
    return [value for value in map(attrgetter(name), alerts) if value is not None]


def _is_spelled(values: Sequence[str], allowed: bytes) -> bool:
    """Whether all values have only these characters."""
    text = "".join(values)
    return text.isascii() and not text.encode().translate(None, allowed)


def _are_money(values: Sequence[str]) -> bool:
    if not values:
        return True
    text = "\n".join(values)
    return text.count("\n") == len(values) - 1 and _MONEY.fullmatch(text + "\n") is not None


def _is_sound_object(raw: bytes) -> bool:
    """Whether metadata is what the contract allows; False also when in doubt.

    Raises UnicodeDecodeError: msgspec checks the form of what it leaves raw, not its encoding.
    """
    if raw[:1] != b"{" or len(raw) > MAX_METADATA_BYTES:
        return False
    if not raw.isascii():
        raw.decode()
    if (
        len(raw) <= _SAFE_METADATA_BYTES
        and raw.count(b"{") + raw.count(b"[") <= _SAFE_BRACKETS
        and not _SUSPICIOUS_METADATA.search(raw)
    ):
        return True
    try:
        # As it lies in the alert, so that nesting is counted from there.
        value = strictjson.loads(b'{"metadata":%b}' % raw)["metadata"]
    except Invalid:
        return False
    return len(msgspec.json.encode(value)) <= MAX_METADATA_BYTES


def _examined(data: bytes) -> tuple[Any, list[FieldError]]:
    try:
        return strictjson.parse(data), []
    except Invalid as error:
        return None, list(error.errors)


_KNOWN: Final = frozenset(Alert.__struct_fields__)


def _explain(item: Any, latest: datetime) -> Alert | list[FieldError]:
    """The alert that a parsed JSON value is, or what is wrong with it (at most 20 things).

    A key that is given twice has its last value, as msgspec takes it.
    """
    if not isinstance(item, dict):
        return [FieldError("", "must be a JSON object")]
    errors = strictjson.problems(item, repeated_keys=False)
    broken = {error.pointer.split("/")[1] for error in errors if error.pointer}
    errors += _unknown(item, _KNOWN)
    if item.get("trigger_type") is None:
        errors.append(FieldError("/trigger_type", "is required"))
    good: dict[str, Any] = {}
    for name in Alert.__struct_fields__:
        value = item.get(name)
        if value is None or name in broken:
            continue
        error = _explain_field(name, value, latest)
        if error is None:
            good[name] = value
        else:
            errors.append(FieldError(f"/{name}", error))
    if errors:
        return errors[:_MAX_ERRORS]
    return _alert_decoder.decode(msgspec.json.encode(good))


def _unknown(item: Mapping[str, Any], known: Collection[str]) -> list[FieldError]:
    """The first of the fields that nobody knows, refused."""
    names = islice((name for name in item if name not in known), _MAX_ERRORS)
    return [FieldError(strictjson.pointer(name), "is not a known field") for name in names]


def _explain_field(name: str, value: Any, latest: datetime) -> str | None:
    if name == "metadata":
        if not isinstance(value, dict) or len(msgspec.json.encode(value)) > MAX_METADATA_BYTES:
            return _DESCRIPTION[name]
        return None
    try:
        probe = msgspec.convert({"trigger_type": "x", name: value}, Alert)
    except msgspec.ValidationError:
        return _DESCRIPTION[name]
    if name in _ALLOWED and not _is_spelled([value], _ALLOWED[name]):
        return _DESCRIPTION[name]
    if name == "cost_delta_cents" and not _are_money([value]):
        return _DESCRIPTION[name]
    if name == "trigger_type" and value == TRIGGER_OVERFLOW:
        return "is reserved for the incidents that Firebreak opens past the hourly limit"
    occurred = probe.occurred_at
    if occurred is not None:
        if occurred < _EPOCH:
            return "must not be before 1970"
        if occurred > latest:
            return "must not be more than 5 minutes ahead"
    return None


def cost(value: str | None) -> Decimal:
    """The cents of a money string; None counts as nothing."""
    return Decimal(value) if value is not None else Decimal(0)


def metadata_text(report: AnyReport) -> str | None:
    """The JSON text of a report's metadata; None when it has none."""
    return bytes(report.metadata).decode() if report.metadata else None
