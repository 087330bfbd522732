"""How far back a list looks whose filters or order no index serves.

Such a list goes through the latest incidents only, and says so: it costs the same however many
there are, and whoever wants earlier ones looks further, page by page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from config.database.statements import run
from incidents.models.rollup import UNCATEGORIZED, or_else
from incidents.services.reports import MAX_AHEAD

ROWS: Final = 10_000
# Where the words of each are looked at too, which takes longer.
WORDED: Final = 2_000
CATEGORY: Final = or_else("incidents_incident.category", UNCATEGORIZED)
# What one clock may be ahead of another.
_SKEW: Final = timedelta(minutes=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TABLE: Final = "incidents_incident"
_OF_IDS: Final = (
    f"SELECT id FROM {_TABLE} WHERE {{where}} ORDER BY id {{direction}} OFFSET %s LIMIT 1"  # noqa: S608 - our own names
)
# An even share for each tenant: together they are never more than asked for.
_OF_TIMES: Final = f"""
    SELECT {{nearest}}(b.at) FROM unnest(%s::text[]) AS t(id), LATERAL (
        SELECT {{column}} AS at FROM {_TABLE} WHERE tenant_id = t.id AND {{where}}
        ORDER BY {{column}} {{direction}} OFFSET %s LIMIT 1
    ) b
"""  # noqa: S608 - our own names
# What an index leads from to incidents.
_LED: Final = {
    "category": f"{_TABLE} WHERE tenant_id = ANY(%s) AND {CATEGORY} = %s",
    "assignee": f"{_TABLE} WHERE tenant_id = ANY(%s) AND assignee = %s",
    "agent_id": "incidents_incidentagent WHERE tenant_id = ANY(%s) AND agent_id = %s",
    "run_id": "incidents_incidentrun WHERE tenant_id = ANY(%s) AND run_id = %s",
}


def end(
    *,
    column: str,
    tenants: Sequence[str] | None,
    after: Any = None,
    before: Any = None,
    ascending: bool = False,
    rows: int,
) -> Any:
    """Where a walk ends that looks through at most so many incidents; None: at the last of them.

    It goes by ``column``, which is ``id`` (and grows with time) or a time of these tenants, from
    ``before`` down to ``after``, or up where it is ``ascending``; both belong to it. What has the
    value that is answered is still looked at.
    """
    bounds = {f"{column} >= %s": after, f"{column} <= %s": before}
    given = {condition: value for condition, value in bounds.items() if value is not None}
    direction = "ASC" if ascending else "DESC"
    if column == "id":
        if tenants is not None:
            given["tenant_id = ANY(%s)"] = list(tenants)
        statement = _OF_IDS.format(where=" AND ".join(given) or "true", direction=direction)
        found = run(statement, [*given.values(), rows - 1], prepare=False)
        return found[0][0] if found else None
    statement = _OF_TIMES.format(
        column=column,
        nearest="min" if ascending else "max",
        where=" AND ".join(given) or "true",
        direction=direction,
    )
    share = max(rows // max(len(tenants or ()), 1), 1)
    found = run(statement, [list(tenants or ()), *given.values(), share - 1], prepare=False)
    return found[0][0]


def is_rare(*, tenants: Sequence[str], given: Mapping[str, Any]) -> bool:
    """Whether an index leads to fewer incidents of what is given than would be looked through."""
    for name, source in _LED.items():
        if value := given.get(name):
            statement = f"SELECT count(*) FROM (SELECT FROM {source} LIMIT %s) s"  # noqa: S608 - our own names
            ((number,),) = run(statement, [list(tenants), value, ROWS], prepare=False)
            if number < ROWS:
                return True
    return False


def earliest(started_at: datetime) -> datetime:
    """No incident that started then or later was recorded before this moment."""
    return max(started_at, _EPOCH) - MAX_AHEAD


def latest(resolved_at: datetime) -> datetime:
    """No incident that was resolved then or earlier was recorded after this moment."""
    return resolved_at + _SKEW


def id_at(moment: datetime) -> UUID:
    """The ids of what was recorded before this moment are smaller, of all else greater."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)


def moment_of(value: UUID | datetime) -> datetime:
    """The moment that an id, or a time, stands for."""
    if isinstance(value, datetime):
        return value
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
