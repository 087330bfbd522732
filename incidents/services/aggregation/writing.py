"""The statements of aggregation: reading the state before a batch, and writing the batch.

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
from config.database.columns import Columns, microseconds, moment
from config.database.statements import run
from incidents import facts
from incidents.enums import EventType, Outcome, Status
from incidents.models import Incident
from incidents.services.aggregation.routing import HOUR, Candidate, Kind, State
from incidents.services.matching import Match
from incidents.services.reports import AnyReport

# The first half of the advisory lock's key: the word "fire" in ASCII.
_CREATION_LOCK: Final = 0x66697265
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


@dataclass(slots=True)
class Prevented:
    """A report that met a rule, and where it went all the same; null where it was prevented."""

    report: AnyReport
    match: Match
    key: bytes
    time: int
    incident_id: UUID | None


def lock_creation(tenant_id: str) -> None:
    """Waits for the right to open incidents of the tenant, until the transaction ends."""
    run("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_CREATION_LOCK, tenant_id])


def await_openings(tenant_id: str) -> None:
    """Waits until every incident created before this moment can be seen.

    Whoever creates one holds the creation lock from before its ``created_at`` until it commits,
    so that a list seen as of this moment, or an earlier one, misses none.
    """
    run("SELECT pg_advisory_xact_lock_shared(%s, hashtext(%s))", [_CREATION_LOCK, tenant_id])


def known_calls(tenant_id: str, keys: Sequence[bytes]) -> dict[bytes, UUID | None]:
    """The incident of every key that is recorded already; null where it was prevented."""
    rows = run(
        "SELECT key, incident_id FROM incidents_alert "
        "WHERE tenant_id = %s AND key = ANY(%s::uuid[])",
        [tenant_id, arrays.uuids(keys)],
    )
    return {key.bytes: incident_id for key, incident_id in rows}


# A kind at a time (OFFSET keeps it so): whatever the planner believes of how many incidents are
# unresolved, all of a tenant's are never read. The last row, if any, is the version of the
# tenant's rules, in the place of an incident's id.
_STATE = f"""
SELECT i.* FROM unnest(%s::text[], %s::text[]) AS k(trigger_type, group_key)
CROSS JOIN LATERAL (
    SELECT i.id, i.trigger_type, i.group_key,
        (extract(epoch FROM i.window_start) * 1000000)::bigint,
        (extract(epoch FROM i.started_at) * 1000000)::bigint,
        (extract(epoch FROM i.last_seen_at) * 1000000)::bigint
    FROM incidents_incident i
    WHERE i.tenant_id = %s AND i.trigger_type = k.trigger_type AND i.group_key = k.group_key
        AND i.status <> '{Status.RESOLVED}' AND (
            i.window_start BETWEEN %s AND %s
            OR (i.last_seen_at >= %s AND i.started_at <= %s)
            OR (i.trigger_type = '{facts.TRIGGER_OVERFLOW}' AND i.started_at BETWEEN %s AND %s)
        )
    OFFSET 0
) i
UNION ALL
SELECT version, NULL, NULL, NULL, NULL, NULL FROM incidents_ruleset WHERE tenant_id = %s
ORDER BY 2 NULLS LAST, 1
"""  # noqa: S608 - only our own constants are interpolated

_HOURS_INCIDENTS = """
SELECT count(*) FROM incidents_incident
WHERE tenant_id = %s AND started_at > %s AND started_at <= %s
"""
_OPENINGS = f"""
SELECT (extract(epoch FROM started_at) * 1000000)::bigint
FROM incidents_incident
WHERE tenant_id = %s AND started_at > %s AND started_at <= %s
    AND trigger_type NOT IN ('{facts.TRIGGER_MANUAL}', '{facts.TRIGGER_OVERFLOW}')
ORDER BY started_at
"""  # noqa: S608 - only our own constants are interpolated


def read_state(
    tenant_id: str,
    kinds: Sequence[Kind],
    *,
    earliest: int,
    latest: int,
    window: int,
    cooldown: int,
    spare: int,
    may_open: bool,
) -> State:
    """The unresolved incidents that reports of these kinds and times could join.

    And the version of the tenant's rules, which costs no statement of its own.
    With ``may_open`` (only under the creation lock) also the overflow incidents and the openings
    that the hourly limit counts; none, if there are too few for it with ``spare`` to go. Times
    are microseconds.
    """
    if may_open:
        kinds = [*kinds, (facts.TRIGGER_OVERFLOW, "")]
    rows = run(
        _STATE,
        [
            arrays.texts([kind[0] for kind in kinds]),
            arrays.texts([kind[1] for kind in kinds]),
            tenant_id,
            moment(earliest - earliest % window),
            moment(latest),
            moment(earliest - cooldown),
            moment(latest + cooldown),
            moment(earliest - HOUR),
            moment(latest),
            tenant_id,
        ],
    )
    state = State()
    if rows and rows[-1][1] is None:
        state.rules_version = rows.pop()[0]
    for id_, trigger_type, group_key, window_start, started, last_seen in rows:
        kind = (trigger_type, group_key)
        candidate = Candidate(id_, kind, window_start, started, last_seen)
        state.candidates.setdefault(kind, []).append(candidate)
    if may_open:
        state.openings = _openings(tenant_id, earliest=earliest, latest=latest, spare=spare)
    return state


def _openings(tenant_id: str, *, earliest: int, latest: int, spare: int) -> list[int]:
    """The openings that the hourly limit may have to count; none where it cannot bind.

    ``spare`` is how many there may have been before a batch that opens an incident with every
    report would come to the limit; negative, if it would by itself.
    """
    span = [tenant_id, moment(earliest - HOUR), moment(latest)]
    if spare >= 0 and run(_HOURS_INCIDENTS, span)[0][0] <= spare:
        return []
    return [started for (started,) in run(_OPENINGS, span)]


def known_overflow_calls(incident_id: UUID, calls: Sequence[str]) -> set[str]:
    """Which of these calls the overflow incident has counted already, under any trigger."""
    rows = run(
        "SELECT DISTINCT call_id FROM incidents_alert WHERE incident_id = %s "
        "AND outcome = %s AND call_id = ANY(%s::text[])",
        [incident_id, int(Outcome.OVERFLOWED), arrays.texts(calls)],
    )
    return {call_id for (call_id,) in rows}


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
WITH recorded AS ({{insert}} RETURNING 1)
SELECT i.id, i.severity FROM incidents_incident i
WHERE i.tenant_id = %s AND i.id = ANY(%s::uuid[]) AND i.status <> '{Status.RESOLVED}'
    AND (SELECT count(*) FROM recorded) > 0
ORDER BY i.id FOR NO KEY UPDATE
"""  # noqa: S608 - only our own constants and column names are interpolated

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
    insert, parameters = alerts.insert()
    ids = sorted(deltas)
    packed_ids = arrays.uuids([id_.bytes for id_ in ids])
    statement = insert
    if deltas:
        statement = _HOLD.format(insert=insert)
        parameters += [tenant_id, packed_ids]
    try:
        severities = dict(run(statement, parameters))
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            return None  # somebody recorded one of these calls before us
        raise
    if not deltas:
        write_tally(tenant_id, counts, at=at)
        return []
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


# A run's trace names the first incident that the run was linked to.
_TRACES: Final = """
UPDATE incidents_trace t SET incident_id = l.incident_id
FROM (
    SELECT DISTINCT ON (tenant_id, run_id) tenant_id, run_id, incident_id
    FROM incidents_incidentrun WHERE tenant_id = %s AND run_id = ANY(%s::text[])
    ORDER BY tenant_id, run_id, created_at, incident_id
) l
WHERE t.tenant_id = l.tenant_id AND t.run_id = l.run_id AND t.incident_id IS NULL
"""


def write_preventions(tenant_id: str, preventions: Sequence[Prevented], *, at: datetime) -> None:
    """Records what rules prevented, or in shadow mode would have, in the order given."""
    rows = Columns("incidents_prevention", len(preventions))
    reports = [one.report for one in preventions]
    rows.constant("tenant_id", "text", tenant_id)
    rows.constant("created_at", "timestamptz", microseconds(at))
    rows.packed("id", arrays.sequential_uuids(clock.uuid7().bytes, len(preventions)), "uuid")
    rows.add("alert_key", "uuid", [one.key for one in preventions])
    rows.add("rule_id", "uuid", [one.match.rule_id.bytes for one in preventions])
    rows.add("revision", "bigint", [one.match.revision for one in preventions])
    rows.add("mode", "text", [one.match.mode for one in preventions])
    rows.add(
        "incident_id",
        "uuid",
        [None if one.incident_id is None else one.incident_id.bytes for one in preventions],
    )
    rows.add("occurred_at", "timestamptz", [one.time for one in preventions])
    rows.add("group_key", "text", [report.group_key or "" for report in reports])
    for name in ("trigger_type", "call_id", "run_id", "agent_id", "error_code", "category"):
        rows.add(name, "text", [getattr(report, name) for report in reports])
    rows.add("cost_delta_cents", "numeric", [report.cost_delta_cents for report in reports])
    run(*rows.insert())


def write_runs(
    tenant_id: str,
    runs: dict[str, str | None],
    links: set[tuple[str, UUID]],
    agents: set[tuple[str, UUID]],
    *,
    at: datetime,
) -> None:
    """Creates the runs that nobody announced, and links runs and agents to incidents.

    ``runs`` maps a run to the agent its first report named; a run's ``incident_count`` grows by
    the incidents that it is linked to for the first time.
    """
    if runs:
        names = sorted(runs)
        run(
            "INSERT INTO incidents_run "
            "(id, tenant_id, run_id, agent_id, status, incident_count, created_at) "
            "SELECT u.id, %s, u.run_id, u.agent_id, 'running', 0, %s "
            "FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS u(id, run_id, agent_id) "
            "ON CONFLICT (tenant_id, run_id) DO NOTHING",
            [
                tenant_id,
                at,
                arrays.sequential_uuids(clock.uuid7().bytes, len(names)),
                arrays.texts(names),
                arrays.texts([runs[name] for name in names]),
            ],
        )
    if links:
        pairs = sorted(links)
        named = arrays.texts(sorted({name for name, _ in pairs}))
        run(
            "SELECT FROM incidents_run WHERE tenant_id = %s AND run_id = ANY(%s::text[]) "
            "ORDER BY run_id FOR NO KEY UPDATE",
            [tenant_id, named],
        )
        linked = run(
            """
            WITH linked AS (
                INSERT INTO incidents_incidentrun (tenant_id, run_id, incident_id, created_at)
                SELECT %s, u.run_id, u.incident_id, %s
                FROM unnest(%s::text[], %s::uuid[]) AS u(run_id, incident_id)
                ON CONFLICT DO NOTHING RETURNING run_id
            ), added AS (
                SELECT run_id, count(*) AS incidents FROM linked GROUP BY run_id
            ), counted AS (
                UPDATE incidents_run r SET incident_count = r.incident_count + added.incidents
                FROM added
                WHERE r.tenant_id = %s AND r.run_id = ANY(%s::text[]) AND r.run_id = added.run_id
            )
            SELECT run_id FROM added
            """,
            [
                tenant_id,
                at,
                arrays.texts([name for name, _ in pairs]),
                arrays.uuids([incident.bytes for _, incident in pairs]),
                tenant_id,
                named,
            ],
        )
        if linked:
            # A statement of its own: it sees the trace that a run was given while we waited.
            run(_TRACES, [tenant_id, arrays.texts(sorted(name for (name,) in linked))])
    if agents:
        pairs = sorted(agents)
        run(
            "INSERT INTO incidents_incidentagent (tenant_id, agent_id, incident_id) "
            "SELECT %s, u.agent_id, u.incident_id "
            "FROM unnest(%s::text[], %s::uuid[]) AS u(agent_id, incident_id) "
            "ON CONFLICT DO NOTHING",
            [
                tenant_id,
                arrays.texts([name for name, _ in pairs]),
                arrays.uuids([incident.bytes for _, incident in pairs]),
            ],
        )
