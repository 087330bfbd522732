"""Runs that reports name: made where nobody announced them, and linked to their incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from config import clock
from config.database import arrays
from config.database.statements import run
from incidents.services.aggregation.batches import Batch
from incidents.services.aggregation.routing import Candidate


def link(batch: Batch, places: Sequence[Candidate | None]) -> None:
    """Makes the runs that the batch's reports name, and links them and agents to ``places``."""
    runs: dict[str, str | None] = {}
    run_links: set[tuple[str, UUID]] = set()
    agent_links: set[tuple[str, UUID]] = set()
    for report, place in zip(batch.reports, places, strict=True):
        if report.run_id is not None:
            runs.setdefault(report.run_id, report.agent_id)
        if place is None:
            continue
        if report.run_id is not None:
            run_links.add((report.run_id, place.id))
        if report.agent_id is not None:
            agent_links.add((report.agent_id, place.id))
    write_runs(batch.tenant_id, runs, run_links, agent_links, at=batch.at)


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
        run(
            "SELECT FROM incidents_run WHERE tenant_id = %s AND run_id = ANY(%s::text[]) "
            "ORDER BY run_id FOR NO KEY UPDATE",
            [tenant_id, arrays.texts(sorted({name for name, _ in pairs}))],
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
                -- They are all there; this way each is found by its key, whatever the planner
                -- takes their number to be.
                INSERT INTO incidents_run AS r
                    (id, tenant_id, run_id, status, incident_count, created_at)
                SELECT gen_random_uuid(), %s, run_id, 'running', incidents, %s FROM added
                ON CONFLICT (tenant_id, run_id) DO UPDATE
                SET incident_count = r.incident_count + excluded.incident_count
            )
            SELECT run_id FROM added
            """,
            [
                tenant_id,
                at,
                arrays.texts([name for name, _ in pairs]),
                arrays.uuids([incident.bytes for _, incident in pairs]),
                tenant_id,
                at,
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
