"""Pages of incident summaries, whatever narrows them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from rest_framework.response import Response

from config.api import pagination
from config.api.pagination import Column
from config.api.views import TenantViewSet
from incidents.models import Incident
from incidents.serializers.incidents import summary_of
from incidents.services import reads
from incidents.services.reads import Narrowing


def page_of_summaries(view: TenantViewSet, narrowing: Narrowing) -> Response:
    """The page that the request's list parameters ask for."""
    query = view.query
    ordering: str = query.get("ordering", "-created_at")
    if (as_of := query.get("as_of")) is not None:
        narrowing = replace(narrowing, as_of=as_of)

    def fetch(place: pagination.Place | None, limit: int) -> list[dict[str, Any]]:
        beyond = None
        if place is not None:
            value, id_ = place.values
            beyond = reads.Place(value, id_, place.backward)
        return reads.page(
            tenant=view.tenant.pk,
            narrowing=narrowing,
            ordering=ordering,
            size=limit,
            place=beyond,
        )

    page = pagination.turn(
        fetch,
        columns=_columns(ordering),
        request=view.request,
        page_size=query["page_size"],
        cursor=query.get("cursor"),
    )
    return Response(page.answer([summary_of(row) for row in page.rows]))


@cache
def _columns(ordering: str) -> list[Column]:
    return pagination.columns_of(Incident.objects.all(), ordering)
