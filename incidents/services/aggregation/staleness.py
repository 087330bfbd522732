"""Resolving what went quiet: open incidents for which no alert was recorded for a while."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from django.db import transaction

from config import clock
from config.database.statements import run
from config.tenancy.models import DEFAULT_AGGREGATION
from incidents.enums import EventType, ResolutionMethod, Status
from incidents.services.aggregation import writing

VIA: Final = "housekeeping"
_STEP: Final = 500

_RESOLVE = f"""
WITH stale AS (
    SELECT i.id, coalesce(t.stale_after_seconds, {DEFAULT_AGGREGATION.stale_after_seconds}) AS after
    FROM incidents_incident i JOIN tenancy_tenant t ON t.id = i.tenant_id
    WHERE i.status = '{Status.OPEN}' AND i.quiet_since <= %s - make_interval(
        secs => coalesce(t.stale_after_seconds, {DEFAULT_AGGREGATION.stale_after_seconds}))
    ORDER BY i.id LIMIT {_STEP}
    FOR NO KEY UPDATE OF i SKIP LOCKED
)
UPDATE incidents_incident i SET
    status = '{Status.RESOLVED}', resolved_at = %s, resolved_by = '{VIA}',
    resolution_method = '{ResolutionMethod.AUTO}'
FROM stale WHERE i.id = stale.id
RETURNING i.tenant_id, i.id, stale.after
"""  # noqa: S608 - only our own constants are interpolated


def resolve_stale() -> int:
    """Resolves every stale open incident of every tenant; how many there were.

    Works in steps of their own transactions. What another process is working on, or an alert is
    just being added to, is left alone.
    """
    resolved = 0
    while True:
        at = clock.now()
        with transaction.atomic():
            rows = sorted(run(_RESOLVE, [at, at]))
            for tenant_id, group in groupby(rows, key=lambda row: row[0]):
                events = [
                    (
                        id_,
                        EventType.RESOLVED,
                        f"Resolved by {VIA}: no alert for {after} seconds.",
                        {"method": str(ResolutionMethod.AUTO)},
                    )
                    for _, id_, after in group
                ]
                writing.insert_events(tenant_id, events, via=VIA, at=at)
        resolved += len(rows)
        if len(rows) < _STEP:
            return resolved
