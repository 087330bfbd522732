"""Replaces the incident reads: the lists of incidents, whatever narrows them, and their counts.

What narrows a list is SQL, written once for every list, count and screen. A page is one prepared
statement that starts at its place in an index, so it costs the same at any depth; what a summary
says comes from the database in the form that callers see, and no model is made of it.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from config.database.statements import run
from incidents.models import Incident
from incidents.services import rollup
from incidents.services.reads import search
from incidents.services.reads.narrowing import (
    RETENTION_DAYS,
    TABLE,
    Condition,
    Narrowing,
    is_plain,
    joined,
)
from incidents.services.reads.pages import (
    ORDERINGS,
    SELECT,
    Place,
    Row,
    order_by,
    stretches,
    summaries,
)

__all__ = [
    "ORDERINGS",
    "RETENTION_DAYS",
    "Condition",
    "Narrowing",
    "Place",
    "Row",
    "count",
    "narrow",
    "page",
]

_COUNT: Final = f"SELECT count(*) FROM {TABLE} WHERE "  # noqa: S608 - our own name


def page(
    *, tenant: str, narrowing: Narrowing, ordering: str, size: int, place: Place | None = None
) -> list[Row]:
    """The summaries of at most ``size`` incidents, the first or those beyond a place.

    ``ordering`` is one of ``ORDERINGS``, with ``-`` to descend; ties go by id in the same
    direction, and what has no value comes last either way. Backward, they come in reverse. The
    severity is its rank.
    """
    found: list[UUID] | None = None
    if narrowing.search is not None:
        found = search.found_by(narrowing.search, tenants=[tenant])
        if len(found) > search.FEW:
            found = None
            if ordering.removeprefix("-") == "created_at":
                near = search.near(tenant, narrowing, ordering, size=size, place=place)
                if len(near) == size:
                    return near
    conditions = narrowing.conditions(tenant=tenant, found=found)
    rows: list[Row] = []
    for stretch in stretches(ordering, place):
        where, parameters = joined([*conditions, stretch])
        rows += summaries(
            f"{SELECT}{where} {order_by(ordering, place)} LIMIT %s",
            [*parameters, size - len(rows)],
            prepare=ordering.endswith("created_at") and is_plain(narrowing),
        )
        if len(rows) == size:
            break
    return rows


def count(*, tenant: str, narrowing: Narrowing) -> int:
    """How many incidents there are of such kind; of every kind, as the sums have it."""
    if narrowing == Narrowing():
        return rollup.total(tenant)
    where, parameters = joined(narrowing.conditions(tenant=tenant))
    ((number,),) = run(f"{_COUNT}{where}", parameters, prepare=is_plain(narrowing))
    return int(number)


def narrow(
    queryset: QuerySet[Incident], narrowing: Narrowing, *, tenant: str | None
) -> QuerySet[Incident]:
    """Such incidents of a queryset; ``tenant`` says whose it holds, where it holds only one's."""
    for condition, parameters in narrowing.conditions(tenant=tenant):
        queryset = queryset.filter(RawSQL(condition, parameters, output_field=BooleanField()))  # noqa: S611 - our own SQL
    return queryset
