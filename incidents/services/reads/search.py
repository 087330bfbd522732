"""What a search finds: all of it for rare words, the next of it for common ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from config.database.statements import run
from incidents.models import documents
from incidents.services.reads.narrowing import TABLE, Condition, Narrowing, joined
from incidents.services.reads.pages import COLUMNS, Place, Row, order_by, stretches, summaries

# A search that finds no more is one for rare words: these are sorted, whatever the order.
FEW: Final = 4_000
# The words of any other may be in most incidents: so many are looked at, one after the other.
NEAR: Final = 1_000
# Words are common, too, that so many of the latest incidents say; that is soon found out.
SAMPLE: Final = 400
MOST: Final = 40
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


_FOUND: Final = "SELECT incidents_found(%s, %s::text, %s)"
_FOUND_OF_SEVERAL: Final = """
    SELECT array_agg(f.id) FROM (
        SELECT unnest(incidents_found(%s, t.id, %s)) AS id FROM unnest(%s::text[]) AS t(id) LIMIT %s
    ) f
"""


def found_by(words: str, *, tenants: Sequence[str] | None) -> list[UUID]:
    """The incidents of these tenants that a search finds, in no order (None: of all tenants).

    All of them, or one more than ``FEW``: then the words are common.
    """
    most = FEW + 1
    if tenants is None or len(tenants) == 1:
        ((found,),) = run(_FOUND, [words, tenants and tenants[0], most], prepare=False)
    else:
        ((found,),) = run(_FOUND_OF_SEVERAL, [words, most, list(tenants), most], prepare=False)
    return found or []


_SAMPLED: Final = f"SELECT * FROM {TABLE} {{where}} ORDER BY {{order}} LIMIT {SAMPLE}"  # noqa: S608 - our own names


def are_common(words: str, *, tenant: str | None) -> bool:
    """Whether a good part of the latest incidents, of a tenant or of all, have the words."""
    condition, said = says(words)
    if tenant is None:
        latest = _SAMPLED.format(where="", order="id DESC")
    else:
        latest = _SAMPLED.format(where="WHERE tenant_id = %s", order="created_at DESC, id DESC")
        said = [tenant, *said]
    statement = (
        f"SELECT count(*) FROM (SELECT FROM ({latest}) {TABLE} WHERE {condition} LIMIT %s) s"  # noqa: S608 - our own names
    )
    ((number,),) = run(statement, [*said, MOST], prepare=False)
    return bool(number == MOST)


def says(words: str) -> Condition:
    """Whether an incident has the words, asked of each one that is looked through."""
    return _SAYS, [words, words]


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
    condition, said = says(narrowing.search)
    return summaries(
        f"SELECT {COLUMNS} FROM ("  # noqa: S608 - our own SQL
        f"SELECT * FROM {TABLE} WHERE {where} {order} LIMIT {NEAR}"
        f") {TABLE} WHERE {condition} {order} LIMIT %s",
        [*parameters, *said, size],
        prepare=False,
    )
