"""Opening incidents: what the first report of each says of it, and its first entry on a timeline.

An incident is inserted as it is after the batch, with the batch's alerts counted: to insert it
first and to add to it afterwards would write its row and its indexes twice. All goes a column at
a time, since a batch may open as many as it has reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from config.database.columns import Columns, ColumnType, microseconds, moment
from config.database.statements import run
from incidents import facts
from incidents.enums import CauseType, EventType, SourceType, Status
from incidents.services import signatures
from incidents.services.aggregation.routing import Candidate
from incidents.services.aggregation.writing import (
    SUMMARY_COLUMNS,
    Delta,
    Touched,
    insert_events,
)
from incidents.services.reports import AnyReport, Report, metadata_text

# Costs have four decimals, as their column has.
_SCALE: Final = Decimal("0.0001")
_TYPES: Final[dict[str, ColumnType]] = {
    "id": "uuid",
    "tenant_id": "text",
    "trigger_type": "text",
    "group_key": "text",
    "window_start": "timestamptz",
    "started_at": "timestamptz",
    "last_seen_at": "timestamptz",
    "quiet_since": "timestamptz",
    "created_at": "timestamptz",
    "status": "text",
    "severity": "smallint",
    "calls_affected": "bigint",
    "alerts_count": "bigint",
    "escalation_base": "bigint",
    "cost_delta_cents": "numeric",
    "title": "text",
    "description": "text",
    "category": "text",
    "trigger_value": "text",
    "cause_type": "text",
    "source_type": "text",
    "run_id": "text",
    "agent_id": "text",
    "model": "text",
    "error_code": "text",
    "error_message": "text",
    "auto_action": "text",
    "metadata": "jsonb",
    "is_synthetic": "boolean",
    "synthetic_scenario_id": "text",
    "signature": "text",
}
# What an incident takes from its first report as it is.
_TAKEN: Final = [
    (name, attrgetter(name))
    for name in (
        "description",
        "category",
        "trigger_value",
        "cause_type",
        "source_type",
        "run_id",
        "agent_id",
        "model",
        "error_code",
        "error_message",
        "auto_action",
        "synthetic_scenario_id",
    )
]


def insert_incidents(
    tenant_id: str,
    opened: Sequence[Candidate],
    deltas: Mapping[Candidate, Delta],
    *,
    via: str,
    limit: int,
    received: datetime,
    at: datetime,
) -> list[Touched]:
    """Inserts the incidents that the batch opens, and their first events.

    ``deltas`` has, for each of them, what the batch counts in it; ``received`` is when the batch
    came, ``at`` a moment at which the creation lock was had.
    """
    count = len(opened)
    first = [_first_report(candidate, limit=limit) for candidate in opened]
    gained = [deltas[candidate] for candidate in opened]
    severities = [
        int(report.severity or facts.initial_severity(report.trigger_type)) for report in first
    ]
    signed = [_signed(tenant_id, report) for report in first]
    values: dict[str, Sequence[Any]] = {name: list(map(get, first)) for name, get in _TAKEN}
    values |= {
        "id": [candidate.id for candidate in opened],
        "tenant_id": [tenant_id] * count,
        "trigger_type": [candidate.kind[0] for candidate in opened],
        "group_key": [candidate.kind[1] for candidate in opened],
        "window_start": [candidate.window_start for candidate in opened],
        "started_at": [delta.first for delta in gained],
        "last_seen_at": [delta.last for delta in gained],
        "quiet_since": [microseconds(max(at, received))] * count,
        "created_at": [microseconds(at)] * count,
        "status": [Status.OPEN.value] * count,
        "severity": [
            _escalated(severity, delta.calls)
            for severity, delta in zip(severities, gained, strict=True)
        ],
        "calls_affected": [delta.calls for delta in gained],
        "alerts_count": [delta.alerts for delta in gained],
        "escalation_base": [0] * count,
        "cost_delta_cents": [delta.cost.quantize(_SCALE) for delta in gained],
        "title": [report.title or _title(report) for report in first],
        "metadata": [metadata_text(report) for report in first],
        "is_synthetic": [bool(report.is_synthetic) for report in first],
        "signature": [signature for signature, _ in signed],
    }
    _insert(values, count)
    insert_events(
        tenant_id,
        [
            (candidate.id, EventType.OPENED, _told(report, limit), {"severity": severity, **more})
            for candidate, report, severity, (_, more) in zip(
                opened, first, severities, signed, strict=True
            )
        ],
        via=via,
        at=at,
    )
    return _touched(values, severities)


def _insert(values: Mapping[str, Sequence[Any]], count: int) -> None:
    rows = Columns("incidents_incident", count)
    for name, type_ in _TYPES.items():
        column = values[name]
        if name == "id":
            column = [id_.bytes for id_ in column]
        elif name == "cost_delta_cents":
            column = list(map(str, column))
        rows.add(name, type_, column)
    run(*rows.insert())


def _touched(values: Mapping[str, Sequence[Any]], severities: Sequence[int]) -> list[Touched]:
    """The inserted incidents, from what they were made of: nothing else has seen them yet."""
    columns = []
    for name in SUMMARY_COLUMNS:
        column = values.get(name, [None] * len(severities))
        if _TYPES.get(name) == "timestamptz":
            column = list(map(moment, column))
        columns.append(column)
    return [
        Touched(id_, before, after, row)
        for id_, before, after, row in zip(
            values["id"],
            severities,
            values["severity"],
            zip(*columns, strict=True),
            strict=True,
        )
    ]


def _first_report(candidate: Candidate, *, limit: int) -> AnyReport:
    """The report that the incident is described by; an overflow's names no failure of its own."""
    report = candidate.first_report
    assert report is not None  # noqa: S101 - only opened candidates come here
    if candidate.kind[0] != facts.TRIGGER_OVERFLOW:
        return report
    value = f">{limit} incidents/hour"
    return Report(
        trigger_type=facts.TRIGGER_OVERFLOW,
        trigger_value=value,
        title=f"Overflow: {value}",
        cause_type=CauseType.SYSTEM,
        source_type=SourceType.OVERFLOW,
        auto_action="aggregate",
        is_synthetic=report.is_synthetic,
    )


def _title(report: AnyReport) -> str:
    about = report.group_key or report.trigger_value or report.error_code
    return f"{report.trigger_type}: {about}"[:2000] if about else report.trigger_type


def _escalated(severity: int, calls: int) -> int:
    """The severity after so many calls, as an update of the counters would make it."""
    for least, level in facts.ESCALATION:
        if calls >= least and level > severity:
            severity = int(level)
    return severity


def _signed(tenant_id: str, report: AnyReport) -> tuple[str | None, dict[str, str]]:
    """The signature, and what the timeline says of it; an overflow, of many failures, has none."""
    if report.source_type == SourceType.OVERFLOW:
        return None, {}
    failure = signatures.Failure(
        trigger_type=report.trigger_type,
        group_key=report.group_key or "",
        error_code=report.error_code,
        message=report.error_message or report.trigger_value or "",
    )
    signature = signatures.of(tenant_id=tenant_id, failure=failure)
    return signature, {"signature": signatures.explain(failure)}


_SOURCE: Final = {
    SourceType.ALERT: "an alert",
    SourceType.FAILURE: "a failure",
    SourceType.VIOLATION: "a violation",
    SourceType.COST_ANOMALY: "a cost anomaly",
}


def _told(report: AnyReport, limit: int) -> str:
    if report.source_type == SourceType.OVERFLOW:
        return f"Opened because the tenant passed {limit} new incidents in an hour."
    return f"Opened by {_SOURCE[report.source_type]} of {report.trigger_type}."
