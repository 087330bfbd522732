"""The statements that write a batch.

Locks are always taken in one order, so that batches cannot deadlock: the tenant's creation lock
(only by those who may open an incident), alert keys in ascending order, incidents in ascending
order, the tally, runs in ascending order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import IntegrityError, connection
from psycopg.errors import UniqueViolation

from config import clock
from config.database import arrays
from config.database.columns import Columns, microseconds
from config.database.statements import run, run_together
from incidents import facts
from incidents.enums import EventType, Outcome, Status
from incidents.models import Incident

TALLY_SLOTS: Final = 8

_SUMMARY: Final = frozenset(
    {
        "id",
        "tenant_id",
        "title",
        "status",
        "severity",
        "category",
        "trigger_type",
        "trigger_value",
        "group_key",
        "cause_type",
        "source_type",
        "calls_affected",
        "alerts_count",
        "cost_delta_cents",
        "assignee",
        "started_at",
        "last_seen_at",
        "created_at",
        "acknowledged_at",
        "resolved_at",
        "resolution_method",
        "is_synthetic",
        "escalation_base",
    }
)
# In the order of the model, as Model.from_db takes them.
SUMMARY_COLUMNS: Final = tuple(
    field.attname for field in Incident._meta.concrete_fields if field.attname in _SUMMARY
)


_ID, _SEVERITY, _CREATED_AT = map(SUMMARY_COLUMNS.index, ("id", "severity", "created_at"))


@dataclass(slots=True)
class Delta:
    """What a batch adds to one incident."""

    calls: int = 0
    alerts: int = 0
    cost: Decimal = Decimal(0)
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Touched:
    """An incident that a batch added to: its severity before and after, and its row after.

    The row is of ``SUMMARY_COLUMNS``; one that the batch opened had the severity of its trigger.
    """

    id: UUID
    severity_before: int
    severity: int
    row: Sequence[Any]

    @property
    def created_at(self) -> datetime:
        moment: datetime = self.row[_CREATED_AT]
        return moment


class Incidents(Mapping[UUID, Incident]):
    """The incidents of a batch, each made of its row once somebody asks for it."""

    def __init__(self, rows: Mapping[UUID, Sequence[Any]]) -> None:
        self._rows = rows
        self._made: dict[UUID, Incident] = {}

    def among(self, ids: Iterable[UUID]) -> Incidents:
        """The incidents of these ids, in this order; reads those that are not here."""
        rows = {id_: self._rows.get(id_) for id_ in ids}
        missing = [id_ for id_, row in rows.items() if row is None]
        if missing:
            read = Incident.objects.filter(pk__in=missing).values_list(*SUMMARY_COLUMNS)
            rows |= {row[_ID]: row for row in read}
        return Incidents({id_: row for id_, row in rows.items() if row is not None})

    def __getitem__(self, id_: UUID) -> Incident:
        if id_ not in self._made:
            row = self._rows[id_]
            self._made[id_] = Incident.from_db(connection.alias, SUMMARY_COLUMNS, row)
        return self._made[id_]

    def __iter__(self) -> Iterator[UUID]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def insert_events(
    tenant_id: str,
    events: Sequence[tuple[UUID, EventType, str, dict[str, Any]]],
    *,
    via: str,
    at: datetime,
) -> None:
    """Puts (incident, type, description, data) on timelines, in the order given."""
    rows = Columns("incidents_event", len(events))
    rows.constant("tenant_id", "text", tenant_id)
    rows.constant("via", "text", via)
    rows.constant("created_at", "timestamptz", microseconds(at))
    rows.packed("id", arrays.sequential_uuids(clock.uuid7().bytes, len(events)), "uuid")
    rows.add("incident_id", "uuid", [incident.bytes for incident, *_ in events])
    rows.add("event_type", "text", [str(event_type) for _, event_type, *_ in events])
    rows.add("description", "text", [description for _, _, description, _ in events])
    rows.add("data", "jsonb", [msgspec.json.encode(data).decode() for *_, data in events])
    run(*rows.insert())


_ESCALATED = " ".join(
    f"WHEN i.calls_affected + d.calls - i.escalation_base >= {calls} THEN {int(severity)}"
    for calls, severity in reversed(facts.ESCALATION)
)

_RETURNED: Final = ", ".join(f"i.{column}" for column in SUMMARY_COLUMNS)

_OUTCOMES: Final = ("opened", "aggregated", "overflowed", "prevented", "duplicate", "rejected")

_TALLY = """
INSERT INTO incidents_outcometally AS t
    (tenant_id, hour, slot, received, {names})
VALUES (%s, %s, %s, %s, {places})
ON CONFLICT (tenant_id, hour, slot) DO UPDATE SET
    received = t.received + excluded.received, {sums}
""".format(
    names=", ".join(_OUTCOMES),
    places=", ".join(["%s"] * len(_OUTCOMES)),
    sums=", ".join(f"{name} = t.{name} + excluded.{name}" for name in _OUTCOMES),
)


def tally_parameters(tenant_id: str, counts: dict[Outcome, int], *, at: datetime) -> list[Any]:
    """The parameters of the tally statement for the outcomes of one request."""
    return [
        tenant_id,
        at.replace(minute=0, second=0, microsecond=0),
        os.getpid() % TALLY_SLOTS,
        sum(counts.values()),
        *(counts.get(Outcome[name.upper()], 0) for name in _OUTCOMES),
    ]


def write_tally(tenant_id: str, counts: dict[Outcome, int], *, at: datetime) -> None:
    """Counts outcomes of a request that recorded no alert."""
    run(_TALLY, tally_parameters(tenant_id, counts, at=at))


# Locking is one statement and changing the next, here as everywhere. A statement that does both
# goes back, to change it, to the version of the row that it first saw; a writer that waits at
# that version, on its way to ours, would then wait for us and we for it.
_HOLD: Final = f"""
SELECT i.id, i.severity FROM incidents_incident i
WHERE i.tenant_id = %s AND i.id = ANY(%s::uuid[]) AND i.status <> '{Status.RESOLVED}'
ORDER BY i.id FOR NO KEY UPDATE
"""  # noqa: S608 - only our own constants are interpolated

_COUNT: Final = f"""
WITH touched AS (
    UPDATE incidents_incident i SET
        calls_affected = i.calls_affected + d.calls,
        alerts_count = i.alerts_count + d.alerts,
        cost_delta_cents = i.cost_delta_cents + d.cost::numeric,
        started_at = LEAST(i.started_at, d.first),
        last_seen_at = GREATEST(i.last_seen_at, d.last),
        quiet_since = GREATEST(i.quiet_since, %s::timestamptz),
        severity = CASE WHEN d.calls = 0 THEN i.severity
            ELSE GREATEST(i.severity, CASE {_ESCALATED} ELSE i.severity END) END
    FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[],
        %s::timestamptz[], %s::timestamptz[]) AS d(id, calls, alerts, cost, first, last)
    WHERE i.tenant_id = %s AND i.id = d.id
    RETURNING {_RETURNED}
), tallied AS ({_TALLY})
SELECT * FROM touched
"""  # noqa: S608 - only our own constants and column names are interpolated


def write_alerts(
    alerts: Columns,
    *,
    tenant_id: str,
    deltas: dict[UUID, Delta],
    counts: dict[Outcome, int],
    at: datetime,
) -> list[Touched] | None:
    """Inserts the alerts, and adds them to the tally and to the incidents that were there before.

    ``deltas`` has what each of these gains; those that the batch opened count their own already.
    None when the state it was planned on is gone (a key is recorded already, or an incident was
    resolved meanwhile): the caller must roll back and plan again.
    """
    ids = sorted(deltas)
    packed_ids = arrays.uuids([id_.bytes for id_ in ids])
    statements = [alerts.insert()]
    if deltas:
        statements.append((_HOLD, [tenant_id, packed_ids]))
    try:
        *_, held = run_together(statements)
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            return None  # somebody recorded one of these calls before us
        raise
    if not deltas:
        write_tally(tenant_id, counts, at=at)
        return []
    severities = dict(held)
    if len(severities) < len(deltas):
        return None
    rows = run(
        _COUNT,
        [
            at,
            packed_ids,
            arrays.bigints([deltas[id_].calls for id_ in ids]),
            arrays.bigints([deltas[id_].alerts for id_ in ids]),
            arrays.texts([str(deltas[id_].cost) for id_ in ids]),
            arrays.timestamps([deltas[id_].first for id_ in ids]),
            arrays.timestamps([deltas[id_].last for id_ in ids]),
            tenant_id,
            *tally_parameters(tenant_id, counts, at=at),
        ],
    )
    return [Touched(row[_ID], severities[row[_ID]], row[_SEVERITY], row) for row in rows]
