"""A page of a list: one prepared statement that starts at its place in an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from config.database.statements import run
from incidents.enums import Status
from incidents.services.reads.narrowing import TABLE, Condition

Row = dict[str, Any]

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
COLUMNS: Final = ", ".join(_SUMMARY.values())
SELECT: Final = f"SELECT {COLUMNS} FROM {TABLE} WHERE "  # noqa: S608


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: beyond the incident of this id, whose ordering column has ``value``.

    ``backward`` is towards the first page.
    """

    value: Any
    id: UUID
    backward: bool


def stretches(ordering: str, place: Place | None) -> list[Condition]:
    """What of the list is to be read, piece by piece: an index has each in the list's order.

    There is one piece, unless the column may be null: what has no value comes last.
    """
    column = f"{TABLE}.{ordering.removeprefix('-')}"
    nullable = ordering.endswith(_NULLABLE)
    operator = "<" if _falls(ordering, place) else ">"
    # Not resolved, in the words of the index of such incidents.
    without = f"{column} IS NULL AND {TABLE}.status <> '{Status.RESOLVED}'"
    whole: list[Condition] = [(f"{column} IS NOT NULL", []), (without, [])] if nullable else []
    if place is None:
        return whole or [("true", [])]
    if place.value is None:
        beyond = [(f"{without} AND {TABLE}.id {operator} %s", [place.id])]
        return [*beyond, *whole[:1]] if place.backward else beyond
    beyond = [(f"({column}, {TABLE}.id) {operator} (%s, %s)", [place.value, place.id])]
    return beyond if place.backward else [*beyond, *whole[1:]]


def order_by(ordering: str, place: Place | None) -> str:
    direction = "DESC" if _falls(ordering, place) else "ASC"
    column = ordering.removeprefix("-")
    return f"ORDER BY {TABLE}.{column} {direction}, {TABLE}.id {direction}"


def _falls(ordering: str, place: Place | None) -> bool:
    return ordering.startswith("-") != (place is not None and place.backward)


def summaries(statement: str, parameters: Sequence[Any], *, prepare: bool) -> list[Row]:
    rows = run(statement, parameters, prepare=prepare)
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]
