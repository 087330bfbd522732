"""What a search finds: all of it for rare words, the next of it for common ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from config.database.statements import run
from incidents.models import documents
from incidents.services.reads.narrowing import TABLE, Narrowing, joined
from incidents.services.reads.pages import COLUMNS, Place, Row, order_by, stretches, summaries

# A search that finds no more is one for rare words: these are sorted, whatever the order.
FEW: Final = 4_000
# The words of any other may be in most incidents: so many are looked at, one after the other.
NEAR: Final = 1_000
_SAYS: Final = f"""(
    incidents_document({TABLE}.tenant_id, {TABLE}.title, {TABLE}.description,
        {TABLE}.error_message) @@ incidents_words(%s, NULL)
    OR EXISTS (
        SELECT FROM incidents_event e
        WHERE e.incident_id = {TABLE}.id
            AND incidents_event_document(e.tenant_id, e.description) @@ incidents_words(%s, NULL)
            AND {documents.SEARCHED_SQL}
    )
)"""


def found_by(tenant: str, words: str) -> list[UUID]:
    """The incidents that a search finds, in no order: all, or one more than ``FEW`` of them."""
    ((found,),) = run("SELECT incidents_found(%s, %s, %s)", [words, tenant, FEW + 1], prepare=False)
    return found or []


def near(
    tenant: str, narrowing: Narrowing, ordering: str, *, size: int, place: Place | None
) -> list[Row]:
    """What a search for common words finds among the next incidents in the order.

    A full page of it is the page, and then most of what the words are in was never looked at.
    """
    assert narrowing.search is not None  # noqa: S101 - only searches come here
    order = order_by(ordering, place)
    others = replace(narrowing, search=None).conditions(tenant=tenant)
    where, parameters = joined([*others, *stretches(ordering, place)])
    return summaries(
        f"SELECT {COLUMNS} FROM ("  # noqa: S608 - our own SQL
        f"SELECT * FROM {TABLE} WHERE {where} {order} LIMIT {NEAR}"
        f") {TABLE} WHERE {_SAYS} {order} LIMIT %s",
        [*parameters, narrowing.search, narrowing.search, size],
        prepare=False,
    )
