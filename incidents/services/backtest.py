"""What a rule would have prevented, had it been active: answered from the alerts themselves.

Without an index of its own, which every alert would have to pay for: the planner reads the
tenant's alerts once, or goes through the incidents that could match.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection

from config import clock
from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import ResolutionType, Severity, SourceType
from incidents.models import Incident

DEFAULT_DAYS: Final = 90
MAX_DAYS: Final = 365
LARGEST: Final = 10


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have prevented of the alerts that occurred at or after ``since``.

    ``alerts_prevented`` counts alerts that became part of an incident and match the rule.
    ``incidents_prevented`` counts incidents of which every alert would have been prevented,
    ``by_severity`` the same by their severity now, ``resolved_as_real`` those of them that
    people had resolved as real; ``largest`` are those with the most alerts, ten at most.
    """

    days: int
    since: datetime
    alerts_prevented: int
    incidents_prevented: int
    by_severity: dict[str, int]
    resolved_as_real: int
    largest: list[Incident]


def run(
    *,
    tenant: Tenant,
    trigger_type: str | None = None,
    error_code: str | None = None,
    category: str | None = None,
    agent_id: str | None = None,
    days: int = DEFAULT_DAYS,
) -> Backtest:
    """What a rule with these fields would have prevented in the last days.

    Invalid when no field is given, because such a rule would match nothing.
    """
    fields = {
        "trigger_type": trigger_type,
        "error_code": error_code,
        "category": category,
        "agent_id": agent_id,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    if not given:
        raise Invalid.field(
            "", "needs at least one of trigger_type, error_code, category and agent_id"
        )
    since = clock.now() - timedelta(days=days)
    alerts, by_severity, real, largest = _count(tenant.pk, given, since)
    return Backtest(
        days=days,
        since=since,
        alerts_prevented=alerts,
        incidents_prevented=sum(by_severity),
        by_severity={
            severity.label: count for severity, count in zip(Severity, by_severity, strict=True)
        },
        resolved_as_real=real,
        largest=_ordered(largest),
    )


def _count(
    tenant: str, given: dict[str, str], since: datetime
) -> tuple[int, list[int], int, list[UUID]]:
    conditions = " AND ".join(f"a.{name} = %({name})s" for name in given)
    # Only an overflow incident holds alerts of another trigger than its own.
    trigger = (
        f"AND (i.trigger_type = %(trigger_type)s OR i.source_type = '{SourceType.OVERFLOW}')"
        if "trigger_type" in given
        else ""
    )
    statement = f"""
        WITH matched AS MATERIALIZED (
            SELECT a.incident_id, count(*) AS alerts
            FROM incidents_incident i JOIN incidents_alert a ON a.incident_id = i.id
            WHERE i.tenant_id = %(tenant)s AND i.last_seen_at >= %(since)s {trigger}
                AND a.tenant_id = %(tenant)s AND a.occurred_at >= %(since)s AND {conditions}
            GROUP BY a.incident_id
        ), prevented AS MATERIALIZED (
            SELECT i.id, i.severity, i.alerts_count, i.resolution_type
            FROM matched m JOIN incidents_incident i ON i.id = m.incident_id
            WHERE i.alerts_count = m.alerts
        )
        SELECT
            (SELECT coalesce(sum(alerts), 0)::bigint FROM matched),
            ARRAY(SELECT (SELECT count(*) FROM prevented p WHERE p.severity = s)
                FROM unnest(%(severities)s::smallint[]) WITH ORDINALITY u(s, n) ORDER BY n),
            (SELECT count(*) FROM prevented WHERE resolution_type = '{ResolutionType.REAL}'),
            ARRAY(SELECT id FROM prevented ORDER BY alerts_count DESC, id DESC LIMIT {LARGEST})
    """  # noqa: S608 - only our own constants and field names are interpolated
    # Planned anew each time: what suits one rule and tenant suits no other.
    with connection.cursor() as cursor:
        severities = [int(severity) for severity in Severity]
        cursor.execute(
            statement, {**given, "tenant": tenant, "since": since, "severities": severities}
        )
        alerts, by_severity, real, largest = cursor.fetchone()
    return alerts, by_severity, real, largest


def _ordered(ids: list[UUID]) -> list[Incident]:
    found = Incident.objects.in_bulk(ids)
    return [found[id_] for id_ in ids if id_ in found]
