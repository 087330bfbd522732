"""Old alerts, with what rules did to them and what monitors said of their end.

No index leads to a tenant's old alerts, because every report would pay for it. They are reached
through their incidents: the unresolved ones, which are few, and the resolved ones in the order they
were resolved in. A mark for each tenant says how far that has come, so that nothing is gone
through twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from config.database import arrays
from config.database.statements import run
from config.operations import disposal
from config.tenancy.services import retention
from config.tenancy.services.retention import BY, Budget
from incidents.enums import Status

# Alerts of one transaction, and incidents that are looked at together.
STEP: Final = 2_000
INCIDENTS: Final = 100
# How far the clocks of two servers, or the clock and a waiting transaction, may lie apart.
SLACK: Final = timedelta(hours=1)


class _Busy(Exception):
    """Another process is at this tenant's alerts."""


def retire_alerts() -> int:
    """Deletes the alerts that their tenants keep no longer; how many there were.

    What is not done when the time of a round is over, the next round does.
    """
    budget = Budget()
    retired = 0
    for tenant_id, before in retention.cutoffs("alert_days"):
        try:
            retired += _Pass(tenant_id, before, budget).run()
        except _Busy:
            continue
        if budget.is_spent():
            break
    return retired


class _Pass:
    """Going once through what a tenant recorded before a moment."""

    def __init__(self, tenant_id: str, before: datetime, budget: Budget) -> None:
        self._tenant_id = tenant_id
        self._before = before
        self._budget = budget
        self._retired = 0

    def run(self) -> int:
        with transaction.atomic():
            done_to, working_to, reached = self._begin()
        if done_to is not None and done_to >= self._before:
            return 0
        self._before = working_to
        whole = (
            self._retire_prevented()
            and self._retire_unresolved()
            and self._retire_resolved(done_to, reached)
            and self._forget_ended()
        )
        if whole:
            with transaction.atomic():
                self._hold()
                run(_DONE, [self._tenant_id])
        return self._retired

    def _begin(self) -> tuple[datetime | None, datetime, datetime | None]:
        run(_MARK, [self._tenant_id])
        done_to, working_to, reached = self._hold()
        if working_to is None and (done_to is None or done_to < self._before):
            working_to = self._before
            run(_WORK, [working_to, self._tenant_id])
        return done_to, working_to or self._before, reached

    def _hold(self) -> tuple[datetime | None, datetime | None, datetime | None]:
        # Whoever works holds the mark: what another process has not committed yet is not skipped.
        rows = run(_HOLD, [self._tenant_id])
        if not rows:
            raise _Busy
        done_to, working_to, reached = rows[0]
        return done_to, working_to, reached

    def _retire_prevented(self) -> bool:
        """Prevented alerts have no incident; their preventions are found by time."""
        return self._repeat(_OLD_PREVENTIONS, [self._tenant_id, self._before, STEP])

    def _retire_unresolved(self) -> bool:
        place: list[Any] = [None, None]
        while True:
            rows = run(_UNRESOLVED, [self._tenant_id, self._before, *place, INCIDENTS])
            if rows and not self._retire_of([id_ for id_, _ in rows]):
                return False
            if len(rows) < INCIDENTS:
                return True
            place = [rows[-1][1], rows[-1][0]]

    def _retire_resolved(self, done_to: datetime | None, reached: datetime | None) -> bool:
        if reached is None and done_to is not None:
            # All that was resolved by then had no later alerts, and those are gone.
            reached = done_to - SLACK
        while True:
            rows = run(_RESOLVED, [self._tenant_id, reached, self._before, INCIDENTS])
            if not rows:
                return True
            if not self._retire_of([id_ for id_, _ in rows]):
                return False
            reached = rows[-1][1]
            with transaction.atomic():
                self._hold()
                run(_REACHED, [reached, self._tenant_id])

    def _retire_of(self, incidents: Sequence[UUID]) -> bool:
        return self._repeat(_OLD_ALERTS, [self._tenant_id, list(incidents), self._before, STEP])

    def _forget_ended(self) -> bool:
        """What was said of the end of alerts that never came."""
        while True:
            with transaction.atomic():
                self._hold()
                ((count,),) = run(
                    _FORGET_ENDED, [self._tenant_id, self._tenant_id, self._before, STEP]
                )
            if count < STEP:
                return True
            if self._budget.is_spent():
                return False

    def _repeat(self, find: str, parameters: Sequence[Any]) -> bool:
        """Retires the alerts whose keys a statement finds, until there are none or time is up."""
        while True:
            with transaction.atomic():
                self._hold()
                keys = [key for (key,) in run(find, parameters, prepare=False)]
                if keys:
                    self._delete(keys)
            if len(keys) < STEP:
                return True
            if self._budget.is_spent():
                return False

    def _delete(self, keys: Sequence[UUID]) -> None:
        given = [self._tenant_id, arrays.uuids([key.bytes for key in keys])]
        with disposal.logged(
            "retention",
            by=BY,
            tenant_id=self._tenant_id,
            target="alerts",
            data={"alerts": len(keys), "recorded_before": self._before.isoformat()},
        ):
            for statement in _DELETE:
                run(statement, given)
        self._retired += len(keys)


_MARK: Final = (
    "INSERT INTO incidents_retentionmark (tenant_id) VALUES (%s) ON CONFLICT (tenant_id) DO NOTHING"
)
_HOLD: Final = (
    "SELECT done_to, working_to, reached FROM incidents_retentionmark "
    "WHERE tenant_id = %s FOR UPDATE SKIP LOCKED"
)
_WORK: Final = "UPDATE incidents_retentionmark SET working_to = %s WHERE tenant_id = %s"
_REACHED: Final = "UPDATE incidents_retentionmark SET reached = %s WHERE tenant_id = %s"
_DONE: Final = (
    "UPDATE incidents_retentionmark SET done_to = working_to, working_to = NULL, reached = NULL "
    "WHERE tenant_id = %s"
)
_OLD_PREVENTIONS: Final = (
    "SELECT alert_key FROM incidents_prevention WHERE tenant_id = %s AND created_at < %s "
    "ORDER BY created_at LIMIT %s"
)
_UNRESOLVED: Final = f"""
SELECT id, created_at FROM incidents_incident
WHERE tenant_id = %s AND status <> '{Status.RESOLVED}' AND created_at < %s
    AND (created_at, id) > (coalesce(%s::timestamptz, '-infinity'),
        coalesce(%s::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY created_at, id LIMIT %s
"""  # noqa: S608 - only our own constants are interpolated
# With ties: what was resolved in one moment is gone through together.
_RESOLVED: Final = """
SELECT id, resolved_at FROM incidents_incident
WHERE tenant_id = %s AND resolved_at > coalesce(%s::timestamptz, '-infinity') AND created_at < %s
ORDER BY resolved_at FETCH FIRST %s ROWS WITH TIES
"""
_OLD_ALERTS: Final = """
SELECT key FROM incidents_alert
WHERE tenant_id = %s AND incident_id = ANY(%s::uuid[]) AND created_at < %s LIMIT %s
"""
_DELETE: Final = (
    "DELETE FROM incidents_alert WHERE tenant_id = %s AND key = ANY(%s::uuid[])",
    "DELETE FROM incidents_prevention WHERE tenant_id = %s AND alert_key = ANY(%s::uuid[])",
    "DELETE FROM incidents_endedalert WHERE tenant_id = %s AND key = ANY(%s::uuid[])",
)
_FORGET_ENDED: Final = """
WITH gone AS (
    DELETE FROM incidents_endedalert WHERE tenant_id = %s AND key IN (
        SELECT key FROM incidents_endedalert WHERE tenant_id = %s AND created_at < %s
        ORDER BY created_at LIMIT %s)
    RETURNING 1
) SELECT count(*) FROM gone
"""
