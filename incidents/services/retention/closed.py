"""Incidents that were resolved long ago, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from config.database import arrays
from config.database.statements import run
from config.operations import disposal
from config.tenancy.services import retention
from config.tenancy.services.retention import BY

# Incidents of one transaction: what belongs to them may be a hundred times as many rows.
STEP: Final = 50

Letting = Callable[[str, Sequence[UUID]], None]
_letting_go: list[Letting] = []


def before_retiring(let_go: Letting) -> None:
    """Has an app above let go of a tenant's incidents, in the transaction that they go in."""
    _letting_go.append(let_go)


def retire_incidents() -> int:
    """Deletes the closed incidents that their tenants keep no longer; how many there were.

    An incident waits until its last alert was retired. What another process is working on, and
    what is not done when the time of a round is over, is left to the next round.
    """
    return retention.in_steps("incident_days", _retire, step=STEP)


def _retire(tenant_id: str, before: datetime) -> int:
    ids = [id_ for (id_,) in run(_CLOSED, [tenant_id, before, STEP], prepare=False)]
    if not ids:
        return 0
    packed = arrays.uuids([id_.bytes for id_ in ids])
    with disposal.logged(
        "retention",
        by=BY,
        tenant_id=tenant_id,
        target="incidents",
        data={"incidents": list(map(str, ids)), "resolved_before": before.isoformat()},
    ):
        for let_go in _letting_go:
            let_go(tenant_id, ids)
        for statement in _BELONGINGS:
            run(statement, [tenant_id, packed])
        _let_go_of_traces(tenant_id, packed)
        run(_INCIDENTS, [tenant_id, packed])
    return len(ids)


def _let_go_of_traces(tenant_id: str, incidents: Any) -> None:
    """A trace goes with the last incident that its run is linked to."""
    run(_UNLINK, [tenant_id, incidents, tenant_id])
    traces = [id_ for (id_,) in run(_TRACES, [tenant_id, incidents])]
    if traces:
        packed = arrays.uuids([id_.bytes for id_ in traces])
        for table in ("incidents_spanstep", "incidents_step"):
            run(f"DELETE FROM {table} WHERE trace_id = ANY(%s::uuid[])", [packed])  # noqa: S608
        run("DELETE FROM incidents_trace WHERE id = ANY(%s::uuid[])", [packed])


_CLOSED: Final = """
SELECT i.id FROM incidents_incident i
WHERE i.tenant_id = %s AND i.resolved_at < %s
    AND NOT EXISTS (SELECT FROM incidents_alert a WHERE a.incident_id = i.id)
ORDER BY i.resolved_at LIMIT %s FOR UPDATE OF i SKIP LOCKED
"""
_OF_TENANT: Final = "tenant_id = %s AND incident_id = ANY(%s::uuid[])"
_DELIVERIES: Final = """
SELECT d.id FROM incidents_event e
JOIN incidents_webhookendpoint w ON w.tenant_id = e.tenant_id
JOIN incidents_webhookdelivery d ON d.endpoint_id = w.id AND d.event_id = e.id
WHERE e.tenant_id = %s AND e.incident_id = ANY(%s::uuid[])
"""
# In this order: what points to something goes before it.
_BELONGINGS: Final = (
    f"DELETE FROM incidents_webhookattempt WHERE delivery_id IN ({_DELIVERIES})",  # noqa: S608
    f"DELETE FROM incidents_webhookdelivery WHERE id IN ({_DELIVERIES})",  # noqa: S608
    *(
        f"DELETE FROM incidents_{table} WHERE {_OF_TENANT}"  # noqa: S608
        for table in (
            "evidence",
            "failure",
            "violation",
            "costanomaly",
            "event",
            "incidentagent",
        )
    ),
)
# The runs in ascending order, as reports lock them.
_UNLINK: Final = f"""
WITH unlinked AS (
    DELETE FROM incidents_incidentrun WHERE {_OF_TENANT} RETURNING run_id
), held AS (
    SELECT r.id, u.links FROM incidents_run r
    JOIN (SELECT run_id, count(*) AS links FROM unlinked GROUP BY run_id) u USING (run_id)
    WHERE r.tenant_id = %s ORDER BY r.run_id FOR NO KEY UPDATE OF r
)
UPDATE incidents_run r SET incident_count = r.incident_count - held.links
FROM held WHERE r.id = held.id
"""  # noqa: S608 - only our own constants are interpolated
# Those that are linked to another incident name the first of these from now on.
_TRACES: Final = f"""
WITH pointing AS (
    SELECT t.id, t.tenant_id, t.run_id FROM incidents_trace t WHERE t.{_OF_TENANT}
), linked AS (
    SELECT DISTINCT ON (p.id) p.id, l.incident_id
    FROM pointing p JOIN incidents_incidentrun l USING (tenant_id, run_id)
    ORDER BY p.id, l.created_at, l.incident_id
), moved AS (
    UPDATE incidents_trace t SET incident_id = linked.incident_id
    FROM linked WHERE t.id = linked.id
)
SELECT id FROM pointing WHERE id NOT IN (SELECT id FROM linked)
"""  # noqa: S608 - only our own constants are interpolated
_INCIDENTS: Final = "DELETE FROM incidents_incident WHERE tenant_id = %s AND id = ANY(%s::uuid[])"
