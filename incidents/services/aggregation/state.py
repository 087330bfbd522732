"""What the database says before a batch, and the lock of those who may open incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from config.database import arrays
from config.database.columns import moment
from config.database.statements import Statement, run
from incidents import facts
from incidents.enums import Outcome, Status
from incidents.services.aggregation.batches import Batch
from incidents.services.aggregation.routing import HOUR, Candidate, Kind, State

# The first half of the advisory lock's key: the word "fire" in ASCII.
_CREATION_LOCK: Final = 0x66697265


def lock_creation(tenant_id: str) -> None:
    """Waits for the right to open incidents of the tenant, until the transaction ends."""
    run("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_CREATION_LOCK, tenant_id])


def await_openings(tenant_id: str) -> None:
    """Waits until every incident created before this moment can be seen.

    Whoever creates one holds the creation lock from before its ``created_at`` until it commits,
    so that a list seen as of this moment, or an earlier one, misses none.
    """
    run("SELECT pg_advisory_xact_lock_shared(%s, hashtext(%s))", [_CREATION_LOCK, tenant_id])


def ask_for_known(tenant_id: str, keys: Sequence[bytes]) -> Statement:
    """Which of these keys are recorded already; :func:`known_calls` reads the answer."""
    return (
        "SELECT key, incident_id FROM incidents_alert "
        "WHERE tenant_id = %s AND key = ANY(%s::uuid[])",
        [tenant_id, arrays.uuids(keys)],
    )


def known_calls(rows: Sequence[Any]) -> dict[bytes, UUID | None]:
    """The incident of every key that is recorded already; null where it was prevented."""
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


def ask_for_state(batch: Batch, *more: Kind) -> Statement:
    """The unresolved incidents that the batch's reports could join, and those of ``more`` kinds.

    And the version of the tenant's rules, which costs no statement of its own.
    :func:`read_state` reads the answer.
    """
    kinds = [*batch.distinct, *more]
    earliest, latest = batch.earliest, batch.latest
    return (
        _STATE,
        [
            arrays.texts([kind[0] for kind in kinds]),
            arrays.texts([kind[1] for kind in kinds]),
            batch.tenant_id,
            moment(earliest - earliest % batch.facts.window),
            moment(latest),
            moment(earliest - batch.facts.cooldown),
            moment(latest + batch.facts.cooldown),
            moment(earliest - HOUR),
            moment(latest),
            batch.tenant_id,
        ],
    )


def read_state(rows: list[Any]) -> State:
    """What the database says before a batch, but for the openings."""
    state = State()
    if rows and rows[-1][1] is None:
        state.rules_version = rows.pop()[0]
    for id_, trigger_type, group_key, window_start, started, last_seen in rows:
        kind = (trigger_type, group_key)
        candidate = Candidate(id_, kind, window_start, started, last_seen)
        state.candidates.setdefault(kind, []).append(candidate)
    return state


def read_openings(batch: Batch) -> list[int]:
    """The openings that the hourly limit may have to count, in microseconds.

    Only under the creation lock. None where the limit cannot bind: where the batch would not
    come to it if it opened an incident with every report.
    """
    spare = batch.facts.incidents_per_hour - len(batch)
    span = [batch.tenant_id, moment(batch.earliest - HOUR), moment(batch.latest)]
    if spare >= 0 and run(_HOURS_INCIDENTS, span)[0][0] <= spare:
        return []
    return [started for (started,) in run(_OPENINGS, span)]


# A call at a time, and with the outcome as the index of overflowed calls has it: a plan made for
# any outcome could not use that, and would hold all alerts of the incident to all of these calls.
# The tenant is named, although security by rows does so, too: that one the planner looks up in its
# statistics even when it plans for any tenant, and takes it for one without rows if it is new.
_OVERFLOWED = f"""
SELECT c.call_id FROM unnest(%s::text[]) AS c(call_id) CROSS JOIN LATERAL (
    SELECT FROM incidents_alert a
    WHERE a.tenant_id = %s AND a.incident_id = %s AND a.call_id = c.call_id
        AND a.outcome = {int(Outcome.OVERFLOWED)}
    LIMIT 1
) counted
"""  # noqa: S608 - only our own constants are interpolated


def known_overflow_calls(tenant_id: str, incident_id: UUID, calls: Sequence[str]) -> set[str]:
    """Which of these calls the overflow incident has counted already, under any trigger."""
    rows = run(_OVERFLOWED, [arrays.texts(calls), tenant_id, incident_id])
    return {call_id for (call_id,) in rows}
