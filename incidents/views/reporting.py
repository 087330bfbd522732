"""What the views of reported facts share."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from config.actors import Actor
from config.api.idempotency import IdempotentMixin
from config.api.values import RUN_ID, RUN_ID_DETAIL
from config.api.views import Handler, TenantViewSet
from config.errors import Invalid
from incidents.models import Incident
from incidents.serializers.incidents import IncidentSummary
from incidents.services import aggregation

_summary = IncidentSummary()


class ReportingViewSet(IdempotentMixin, TenantViewSet):
    """A view that takes reports of facts besides answering what is read.

    The service of a report is its transaction, and its repeats are known by what it reports.
    Those of ``counted_actions`` go through the door: one that is refused counts as rejected.
    """

    natural_actions: frozenset[str] = frozenset()
    counted_actions: ClassVar[frozenset[str]] = frozenset()

    def perform(self, handler: Handler, request: Request) -> HttpResponseBase:
        if self.action not in self.natural_actions:
            return super().perform(handler, request)
        try:
            return handler(request, *self.args, **self.kwargs)
        except Invalid:
            if self.action in self.counted_actions:
                aggregation.reject(tenant=self.tenant)
            raise

    def actor(self, body: dict[str, Any] | None = None) -> Actor:
        """Who acts: the key, and the person that a body names."""
        return Actor(via=self.caller.key.name, name=(body or {}).get("actor"))


def given(body: dict[str, Any], *without: str) -> dict[str, Any]:
    """A body's values but for nulls and those of these names."""
    return {
        name: value for name, value in body.items() if value is not None and name not in without
    }


def checked_run_id(run_id: str) -> str:
    """The run that an address of a report names; Invalid when no run can be called that."""
    if not RUN_ID.fullmatch(run_id):
        raise Invalid.field("/run_id", RUN_ID_DETAIL)
    return run_id


def summary(incident: Incident | None) -> dict[str, Any] | None:
    """An incident in the answer to a report."""
    return None if incident is None else _summary.to_representation(incident)
