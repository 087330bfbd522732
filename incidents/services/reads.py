"""Replaces the incident reads: the lists of incidents, whatever narrows them, and their counts.

What narrows a list is SQL, written once for every list, count and screen. A page is one prepared
statement that starts at its place in an index, so it costs the same at any depth; what a summary
says comes from the database in the form that callers see, and no model is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from config import clock
from config.database.statements import run
from incidents.enums import Severity, Status, Topic
from incidents.models import Incident

Row = dict[str, Any]
Condition = tuple[str, list[Any]]

RETENTION_DAYS: Final = 30
# What lists can go by. All of them but this one are never null.
ORDERINGS: Final = (
    "created_at",
    "resolved_at",
    "last_seen_at",
    "severity",
    "calls_affected",
    "cost_delta_cents",
)
_NULLABLE: Final = "resolved_at"

_TABLE: Final = "incidents_incident"
# A summary, in the order in which callers see it.
_SUMMARY: Final = {
    "id": "id::text",
    "title": "title",
    "status": "status",
    "severity": "severity",
    "category": "category",
    "trigger_type": "trigger_type",
    "trigger_value": "trigger_value",
    "group_key": "NULLIF(group_key, '')",
    "cause_type": "cause_type",
    "source_type": "source_type",
    "calls_affected": "calls_affected",
    "alerts_count": "alerts_count",
    "cost_delta_cents": "cost_delta_cents::text",
    "assignee": "assignee",
    "started_at": "started_at",
    "last_seen_at": "last_seen_at",
    "created_at": "created_at",
    "acknowledged_at": "acknowledged_at",
    "resolved_at": "resolved_at",
    "resolution_method": "resolution_method",
    "is_synthetic": "is_synthetic",
}
_NAMES: Final = tuple(_SUMMARY)
_SELECT: Final = f"SELECT {', '.join(_SUMMARY.values())} FROM {_TABLE} WHERE "  # noqa: S608
_COUNT: Final = f"SELECT count(*) FROM {_TABLE} WHERE "  # noqa: S608 - our own name


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What incidents have to be to come into a list; what is None or empty narrows nothing.

    ``retention_days`` goes with the topic historical. ``run_id`` and ``agent_id`` are of any
    alert of the incident. Of times, ``after`` is at or after, ``before`` is before and ``as_of``
    is at or after its creation.

    All words of ``search`` have to be in the title, description and error message together, or
    in one entry of the timeline (the entry by which Firebreak itself opened it aside). Case and
    punctuation do not count; words are whole words in any language, unstemmed. A text without a
    word finds nothing.
    """

    topic: str | None = None
    retention_days: int = RETENTION_DAYS
    status: Sequence[str] = ()
    severity: Sequence[str] = ()
    category: Sequence[str] = ()
    cause_type: str | None = None
    trigger_type: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    assignee: str | None = None
    is_synthetic: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    resolved_after: datetime | None = None
    resolved_before: datetime | None = None
    search: str | None = None
    as_of: datetime | None = None
    signature: str | None = None
    other_than: UUID | None = None

    def conditions(self, *, tenant: str | None) -> list[Condition]:
        """The SQL of each condition with its parameters; ``tenant`` is the only one looked at."""
        found: list[Condition] = [] if tenant is None else [(f"{_TABLE}.tenant_id = %s", [tenant])]
        if self.topic is not None:
            found.append(self._of_topic())
        if self.status:
            found.append((_among("status", [repr(str(Status(one))) for one in self.status]), []))
        if self.severity:
            ranks = [str(int(Severity.named(label))) for label in self.severity]
            found.append((_among("severity", ranks), []))
        if self.category:
            found.append((f"{_TABLE}.category = ANY(%s)", [list(self.category)]))
        for name, condition in _COMPARED.items():
            if (value := getattr(self, name)) is not None:
                found.append((condition, [value]))
        if self.search is not None:
            # The tenant: a word that everybody uses then costs no more than its share.
            found.append(
                (f"{_TABLE}.id IN (SELECT incidents_found(%s, %s))", [self.search, tenant])
            )
        return found

    def _of_topic(self) -> Condition:
        if self.topic == Topic.ACTIVE:
            return f"{_TABLE}.status <> '{Status.RESOLVED}'", []
        resolved = f"{_TABLE}.status = '{Status.RESOLVED}'"
        if self.topic == Topic.RESOLVED:
            return resolved, []
        before = clock.now() - timedelta(days=self.retention_days)
        return f"{resolved} AND {_TABLE}.resolved_at < %s", [before]


# In the SQL, where the planner sees them: an index of the unresolved serves each of their states.
def _among(column: str, literals: Sequence[str]) -> str:
    return f"{_TABLE}.{column} IN ({', '.join(sorted(set(literals)))})"


def _linked(table: str, column: str) -> str:
    return (
        f"EXISTS (SELECT FROM {table} l WHERE l.tenant_id = {_TABLE}.tenant_id "
        f"AND l.{column} = %s AND l.incident_id = {_TABLE}.id)"
    )


_COMPARED: Final = {
    "cause_type": f"{_TABLE}.cause_type = %s",
    "trigger_type": f"{_TABLE}.trigger_type = %s",
    "agent_id": _linked("incidents_incidentagent", "agent_id"),
    "run_id": _linked("incidents_incidentrun", "run_id"),
    "assignee": f"{_TABLE}.assignee = %s",
    "is_synthetic": f"{_TABLE}.is_synthetic = %s",
    "created_after": f"{_TABLE}.created_at >= %s",
    "created_before": f"{_TABLE}.created_at < %s",
    "resolved_after": f"{_TABLE}.resolved_at >= %s",
    "resolved_before": f"{_TABLE}.resolved_at < %s",
    "as_of": f"{_TABLE}.created_at <= %s",
    "signature": f"{_TABLE}.signature = %s",
    "other_than": f"{_TABLE}.id <> %s",
}
# With these alone the statement is planned once: whoever the tenant and whatever the time, to
# follow the index of the order is right. What else is asked for may be rare, or not.
_PLANNED_ONCE: Final = frozenset(
    {"topic", "retention_days", "status", "created_after", "created_before", "as_of"}
)
_DEFAULTS: Final = {field.name: field.default for field in fields(Narrowing)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: beyond the incident of this id, whose ordering column has ``value``.

    ``backward`` is towards the first page.
    """

    value: Any
    id: UUID
    backward: bool


def page(
    *, tenant: str, narrowing: Narrowing, ordering: str, size: int, place: Place | None = None
) -> list[Row]:
    """The summaries of at most ``size`` incidents, the first or those beyond a place.

    ``ordering`` is one of ``ORDERINGS``, with ``-`` to descend; ties go by id in the same
    direction, and what has no value comes last either way. Backward, they come in reverse. The
    severity is its rank.
    """
    backward = place is not None and place.backward
    conditions = narrowing.conditions(tenant=tenant)
    if place is not None:
        conditions.append(_beyond(ordering, place))
    column = ordering.removeprefix("-")
    falling = ordering.startswith("-") != backward
    direction = "DESC" if falling else "ASC"
    nulls = f" NULLS {'FIRST' if backward else 'LAST'}" if column == _NULLABLE else ""
    where, parameters = _joined(conditions)
    rows = run(
        f"{_SELECT}{where} ORDER BY {_TABLE}.{column} {direction}{nulls}, "
        f"{_TABLE}.id {direction} LIMIT %s",
        [*parameters, size],
        prepare=column == "created_at" and _is_plain(narrowing),
    )
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def count(*, tenant: str, narrowing: Narrowing) -> int:
    """How many incidents there are of such kind."""
    where, parameters = _joined(narrowing.conditions(tenant=tenant))
    ((number,),) = run(f"{_COUNT}{where}", parameters, prepare=_is_plain(narrowing))
    return int(number)


def narrow(
    queryset: QuerySet[Incident], narrowing: Narrowing, *, tenant: str | None
) -> QuerySet[Incident]:
    """Such incidents of a queryset; ``tenant`` says whose it holds, where it holds only one's."""
    for condition, parameters in narrowing.conditions(tenant=tenant):
        queryset = queryset.filter(RawSQL(condition, parameters, output_field=BooleanField()))  # noqa: S611 - our own SQL
    return queryset


def _is_plain(narrowing: Narrowing) -> bool:
    return all(
        name in _PLANNED_ONCE or getattr(narrowing, name) == default
        for name, default in _DEFAULTS.items()
    )


def _joined(conditions: Sequence[Condition]) -> Condition:
    return (
        " AND ".join(condition for condition, _ in conditions),
        [parameter for _, parameters in conditions for parameter in parameters],
    )


def _beyond(ordering: str, place: Place) -> Condition:
    column = ordering.removeprefix("-")
    operator = "<" if ordering.startswith("-") != place.backward else ">"
    if place.value is None:
        same = f"{_TABLE}.{column} IS NULL AND {_TABLE}.id {operator} %s"
        if place.backward:
            return f"({same} OR {_TABLE}.{column} IS NOT NULL)", [place.id]
        return same, [place.id]
    condition = f"({_TABLE}.{column}, {_TABLE}.id) {operator} (%s, %s)"
    if column == _NULLABLE and not place.backward:
        condition = f"({condition} OR {_TABLE}.{column} IS NULL)"
    return condition, [place.value, place.id]
