"""What must be true of the database after all the trouble, asked of it by plain SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from tests.faults.traffic import Ledger

# Each answers rows only where a promise is broken.
BROKEN = {
    "an alert's call is there twice (2)": """
        SELECT tenant_id, trigger_type, call_id, count(*) FROM incidents_alert
        WHERE call_id IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1
    """,
    "two unresolved incidents hold one key (1)": """
        SELECT tenant_id, trigger_type, group_key, window_start, count(*)
        FROM incidents_incident WHERE status <> 'resolved' GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
    """,
    "an incident's counts are not its alerts' (2)": """
        SELECT i.tenant_id, i.id, i.alerts_count, a.alerts, i.calls_affected, a.calls
        FROM incidents_incident i LEFT JOIN (
            SELECT incident_id, count(*) AS alerts, count(DISTINCT call_id) AS calls,
                sum(cost_delta_cents) AS cents, min(occurred_at) AS first, max(occurred_at) AS last
            FROM incidents_alert GROUP BY 1
        ) a ON a.incident_id = i.id
        WHERE i.alerts_count <> coalesce(a.alerts, 0)
            OR i.calls_affected <> coalesce(a.calls, 0)
            OR i.cost_delta_cents <> coalesce(a.cents, 0)
            OR i.started_at <> coalesce(a.first, i.started_at)
            OR i.last_seen_at <> coalesce(a.last, i.last_seen_at)
    """,
    "an alert's incident is not there, or is another tenant's": """
        SELECT a.tenant_id, a.id FROM incidents_alert a
        LEFT JOIN incidents_incident i ON i.id = a.incident_id AND i.tenant_id = a.tenant_id
        WHERE a.outcome <> 4 AND i.id IS NULL
    """,
    "an incident without exactly one opening (6)": """
        SELECT i.id, count(e.id) FROM incidents_incident i
        LEFT JOIN incidents_event e ON e.incident_id = i.id AND e.event_type = 'opened'
        GROUP BY 1 HAVING count(e.id) <> 1
    """,
    "a state that the timeline does not tell (6)": """
        SELECT i.id, i.status, e.resolved, e.reopened, e.acknowledged FROM incidents_incident i
        JOIN (
            SELECT incident_id, count(*) FILTER (WHERE event_type = 'resolved') AS resolved,
                count(*) FILTER (WHERE event_type = 'reopened') AS reopened,
                count(*) FILTER (WHERE event_type = 'acknowledged') AS acknowledged
            FROM incidents_event GROUP BY 1
        ) e ON e.incident_id = i.id
        WHERE e.resolved - e.reopened <> (i.status = 'resolved')::int
            OR (i.status = 'acknowledged' AND e.acknowledged = 0)
    """,
    "a severity that calls do not account for (6)": """
        SELECT i.id, i.severity, i.calls_affected FROM incidents_incident i
        WHERE NOT EXISTS (SELECT FROM incidents_event e
                WHERE e.incident_id = i.id AND e.event_type = 'severity_changed')
            AND i.severity < CASE WHEN i.calls_affected >= 200 THEN 4
                WHEN i.calls_affected >= 50 THEN 3 WHEN i.calls_affected >= 10 THEN 2 ELSE 1 END
    """,
    "outcomes that are not what was recorded": """
        SELECT t.tenant_id, t.opened, a.opened, t.aggregated, a.aggregated, t.overflowed,
            a.overflowed
        FROM (
            SELECT tenant_id, sum(opened) AS opened, sum(aggregated) AS aggregated,
                sum(overflowed) AS overflowed, sum(prevented) AS prevented
            FROM incidents_outcometally GROUP BY 1
        ) t FULL JOIN (
            SELECT tenant_id, count(*) FILTER (WHERE outcome = 1) AS opened,
                count(*) FILTER (WHERE outcome = 2) AS aggregated,
                count(*) FILTER (WHERE outcome = 3) AS overflowed,
                count(*) FILTER (WHERE outcome = 4) AS prevented
            FROM incidents_alert GROUP BY 1
        ) a USING (tenant_id)
        WHERE (t.opened, t.aggregated, t.overflowed, t.prevented)
            IS DISTINCT FROM (a.opened::numeric, a.aggregated::numeric, a.overflowed::numeric,
                a.prevented::numeric)
    """,
    "outcomes that do not add up to what was received": """
        SELECT tenant_id, hour, slot FROM incidents_outcometally WHERE received
            <> opened + aggregated + overflowed + prevented + duplicate + rejected
    """,
    "a failure without its evidence or its alert": """
        SELECT f.id FROM incidents_failure f
        WHERE (SELECT count(*) FROM incidents_evidence e WHERE e.failure_id = f.id) <> 1
    """,
    "a first answer that was kept half": """
        SELECT tenant_id, key FROM tenancy_idempotencyrecord WHERE status IS NULL
    """,
}


def findings(connection: psycopg.Connection[Any], ledger: Ledger) -> Iterator[str]:
    """Everything that is not as promised; nothing when all holds."""
    # The rows themselves are asked, not an index that might agree with a broken promise.
    connection.execute("SET enable_indexscan = off")
    connection.execute("SET enable_indexonlyscan = off")
    connection.execute("SET enable_bitmapscan = off")
    for what, query in BROKEN.items():
        rows = connection.execute(query).fetchall()  # type: ignore[arg-type]
        if rows:
            yield f"{what}: {len(rows)}, such as {rows[0]}"
    yield from _lost(connection, ledger)
    yield from _unaccounted(connection, ledger)


def _lost(connection: psycopg.Connection[Any], ledger: Ledger) -> Iterator[str]:
    """What was acknowledged (7) and is not there exactly once."""
    there = set(
        connection.execute(
            "SELECT tenant_id, trigger_type, call_id FROM incidents_alert WHERE call_id IS NOT NULL"
        ).fetchall()
    )
    if missing := ledger.calls - there:
        yield f"{len(missing)} acknowledged alerts are gone, such as {next(iter(missing))}"
    once = {
        "alerts without a call": (
            ledger.keyed,
            "SELECT tenant_id, error_message, count(*) FROM incidents_alert "
            "WHERE call_id IS NULL AND error_message LIKE 'keyed-%' GROUP BY 1, 2",
        ),
        "failures": (
            ledger.failures,
            "SELECT tenant_id, run_id, count(*) FROM incidents_failure GROUP BY 1, 2",
        ),
        "acts": (
            set(ledger.acts),
            "SELECT tenant_id, actor, count(*) FROM incidents_event "
            "WHERE actor LIKE 'person-%' GROUP BY 1, 2",
        ),
        "bundles": (
            set(ledger.bundles),
            "SELECT tenant_id, reason, count(*) FROM exports_bundle GROUP BY 1, 2",
        ),
    }
    for what, (acknowledged, query) in once.items():
        counts = {row[:2]: row[2] for row in connection.execute(query)}  # type: ignore[arg-type]
        if lost := [key for key in acknowledged if key not in counts]:
            yield f"{len(lost)} acknowledged {what} are gone, such as {lost[0]}"
        if doubled := [key for key, count in counts.items() if count != 1]:
            yield f"{len(doubled)} {what} are there more than once, such as {doubled[0]}"
        if what == "acts" and (done := ledger.refused_acts & counts.keys()):
            yield f"{len(done)} acts were refused and done, such as {next(iter(done))}"
    kinds = {
        row[:2]: row[2]
        for row in connection.execute("SELECT tenant_id, actor, event_type FROM incidents_event")
    }
    if wrong := [key for key, event in ledger.acts.items() if kinds.get(key, event) != event]:
        yield f"{len(wrong)} acts left another event, such as {wrong[0]}"
    ids = {str(id_) for (id_,) in connection.execute("SELECT id FROM exports_bundle")}
    if gone := set(ledger.bundles.values()) - ids:
        yield f"{len(gone)} acknowledged bundles are gone"


def _unaccounted(connection: psycopg.Connection[Any], ledger: Ledger) -> Iterator[str]:
    """Whether what was counted lies between what was answered and what may have been."""
    rows = connection.execute(
        "SELECT tenant_id, sum(received)::bigint FROM incidents_outcometally GROUP BY 1"
    ).fetchall()
    for tenant, received in rows:
        least = ledger.received[tenant]
        most = least + ledger.uncertain[tenant]
        if not least <= received <= most:
            yield f"{tenant}: {received} received, but {least} to {most} were sent"
