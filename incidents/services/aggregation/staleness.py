"""Resolving what went quiet: open incidents for which no alert was recorded for a while."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from django.db import transaction

from config import clock
from config.database import arrays
from config.database.statements import run
from config.tenancy.models import DEFAULT_AGGREGATION
from incidents.enums import EventType, ResolutionMethod, Status
from incidents.services.aggregation import writing

VIA: Final = "housekeeping"
_STEP: Final = 500

_HOLD: Final = f"""
SELECT i.tenant_id, i.id,
    coalesce(t.stale_after_seconds, {DEFAULT_AGGREGATION.stale_after_seconds})
FROM incidents_incident i JOIN tenancy_tenant t ON t.id = i.tenant_id
WHERE i.status = '{Status.OPEN}' AND i.quiet_since <= %s - make_interval(
    secs => coalesce(t.stale_after_seconds, {DEFAULT_AGGREGATION.stale_after_seconds}))
ORDER BY i.id LIMIT {_STEP}
FOR NO KEY UPDATE OF i SKIP LOCKED
"""  # noqa: S608 - only our own constants are interpolated
# A statement of its own, for the reason that writing._HOLD has.
_RESOLVE: Final = f"""
UPDATE incidents_incident SET
    status = '{Status.RESOLVED}', resolved_at = %s, resolved_by = '{VIA}',
    resolution_method = '{ResolutionMethod.AUTO}'
WHERE id = ANY(%s::uuid[])
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
            rows = sorted(run(_HOLD, [at]))
            if rows:
                run(_RESOLVE, [at, arrays.uuids([id_.bytes for _, id_, _ in rows])])
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
