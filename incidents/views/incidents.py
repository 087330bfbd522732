"""Reading and triaging incidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import clock
from config.actors import Actor
from config.api.idempotency import IdempotentMixin
from config.api.parameters import ListParameters, Parameters
from config.api.problems import status_of
from config.api.serializers import StrictSerializer
from config.api.views import TenantViewSet
from config.errors import FieldError, Invalid
from incidents.enums import ResolutionMethod, Severity
from incidents.errors import IncidentNotFound
from incidents.filters import IncidentFilterParameters, IncidentListParameters, narrowing_of
from incidents.models import Incident
from incidents.serializers.incidents import (
    AcknowledgeBody,
    AlertRow,
    AssignBody,
    BulkAnswer,
    BulkBody,
    CommentBody,
    CountAnswer,
    EventRow,
    IncidentDetail,
    IncidentSummary,
    OpenBody,
    ReopenBody,
    ResolveBody,
    SeverityBody,
)
from incidents.services import lifecycle, reads
from incidents.services.aggregation import state
from incidents.views.summaries import page_of_summaries

# No transaction that creates incidents lasts longer than this.
_SETTLED = timedelta(minutes=5)


class IncidentViewSet(IdempotentMixin, TenantViewSet):
    """Incidents of the key's tenant."""

    queryset = Incident.objects.all()
    serializer_class = IncidentDetail
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "read",
        "count": "read",
        "retrieve": "read",
        "list_events": "read",
        "list_alerts": "read",
        "create": "triage",
        "acknowledge": "triage",
        "resolve": "triage",
        "reopen": "triage",
        "assign": "triage",
        "severity": "triage",
        "comment": "triage",
        "bulk": "triage",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": IncidentListParameters,
        "count": IncidentFilterParameters,
        "list_events": ListParameters,
        "list_alerts": ListParameters,
    }

    @extend_schema(summary="List incidents", responses=IncidentSummary(many=True))
    def list(self, request: Request) -> Response:
        if (as_of := self.query.get("as_of")) and as_of > clock.now() - _SETTLED:
            state.await_openings(self.tenant.pk)
        return page_of_summaries(self, narrowing_of(self.query))

    @extend_schema(summary="Count incidents", responses=CountAnswer)
    def count(self, request: Request) -> Response:
        number = reads.count(tenant=self.tenant.pk, narrowing=narrowing_of(self.query))
        return Response({"count": number})

    @extend_schema(summary="One incident", responses=IncidentDetail)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return self._detail(self._incident(pk))

    @extend_schema(
        summary="Open an incident by hand", request=OpenBody, responses={201: IncidentDetail}
    )
    def create(self, request: Request) -> Response:
        body = OpenBody.read(request.data)
        incident = lifecycle.open_by_hand(
            tenant=self.tenant,
            by=self._actor(body),
            title=body["title"],
            severity=Severity.named(body["severity"]),
            category=body.get("category"),
            description=body.get("description") or "",
            run_id=body.get("run_id"),
        )
        return Response(IncidentDetail(incident).data, status=201)

    @extend_schema(summary="Acknowledge", request=AcknowledgeBody, responses=IncidentDetail)
    def acknowledge(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, AcknowledgeBody, lifecycle.acknowledge, lambda _: {})

    @extend_schema(summary="Resolve", request=ResolveBody, responses=IncidentDetail)
    def resolve(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, ResolveBody, lifecycle.resolve, _resolution)

    @extend_schema(summary="Reopen", request=ReopenBody, responses=IncidentDetail)
    def reopen(self, request: Request, pk: UUID) -> Response:
        return self._act(
            request, pk, ReopenBody, lifecycle.reopen, lambda body: {"reason": body["reason"]}
        )

    @extend_schema(summary="Assign", request=AssignBody, responses=IncidentDetail)
    def assign(self, request: Request, pk: UUID) -> Response:
        return self._act(
            request, pk, AssignBody, lifecycle.assign, lambda body: {"assignee": body["assignee"]}
        )

    @extend_schema(summary="Set the severity", request=SeverityBody, responses=IncidentDetail)
    def severity(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, SeverityBody, lifecycle.set_severity, _severity)

    @extend_schema(summary="Act on many", request=BulkBody, responses=BulkAnswer)
    def bulk(self, request: Request) -> Response:
        body = BulkBody.read(request.data)
        act, allowed, required, arguments = _BULK[body["action"]]
        errors = [
            FieldError(f"/{name}", f"does not go with the action {body['action']}")
            for name in body
            if name not in {"action", "ids", "actor", *allowed}
        ]
        errors += [FieldError(f"/{name}", "is required") for name in required if name not in body]
        if errors:
            raise Invalid(errors)
        results = act(
            tenant=self.tenant.pk, ids=body["ids"], by=self._actor(body), **arguments(body)
        )
        return Response(
            {
                "results": [
                    {
                        "id": result.id,
                        "status": status_of(result.error) if result.error else 200,
                        "code": result.error.code if result.error else "ok",
                    }
                    for result in results
                ]
            }
        )

    @extend_schema(summary="The timeline", responses=EventRow(many=True))
    def list_events(self, request: Request, pk: UUID) -> Response:
        return self.page(self._incident(pk).events.all(), EventRow)

    @extend_schema(
        summary="Comment on the timeline", request=CommentBody, responses={201: EventRow}
    )
    def comment(self, request: Request, pk: UUID) -> Response:
        body = CommentBody.read(request.data)
        event = lifecycle.comment(
            incident=self._incident(pk), by=self._actor(body), description=body["description"]
        )
        return Response(EventRow(event).data, status=201)

    @extend_schema(summary="The alerts of an incident", responses=AlertRow(many=True))
    def list_alerts(self, request: Request, pk: UUID) -> Response:
        alerts = self._incident(pk).alerts.all()
        return self.page(alerts, AlertRow, ordering=("-created_at", "-id"))

    def _incident(self, pk: UUID) -> Incident:
        incident: Incident | None = self.one(pk)
        if incident is None:
            raise IncidentNotFound
        return incident

    def _act(
        self,
        request: Request,
        pk: UUID,
        reader: type[StrictSerializer],
        act: Callable[..., Incident],
        arguments: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> Response:
        incident = self._incident(pk)
        body = reader.read(request.data)
        return self._detail(act(incident=incident, by=self._actor(body), **arguments(body)))

    def _actor(self, body: Mapping[str, Any]) -> Actor:
        return Actor(via=self.caller.key.name, name=body.get("actor"))

    def _detail(self, incident: Incident) -> Response:
        return Response(IncidentDetail(incident).data)


def _resolution(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": ResolutionMethod(body["resolution_method"]),
        "type": body.get("resolution_type"),
        "summary": body.get("resolution_summary"),
        "postmortem_id": body.get("postmortem_id"),
    }


def _severity(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"severity": Severity.named(body["severity"]), "reason": body["reason"]}


class _BulkAction(NamedTuple):
    act: Callable[..., list[lifecycle.Result]]
    allowed: tuple[str, ...]
    required: tuple[str, ...]
    arguments: Callable[[Mapping[str, Any]], dict[str, Any]]


_BULK: dict[str, _BulkAction] = {
    "acknowledge": _BulkAction(lifecycle.acknowledge_all, (), (), lambda _: {}),
    "resolve": _BulkAction(
        lifecycle.resolve_all,
        ("resolution_method", "resolution_type", "resolution_summary", "postmortem_id"),
        ("resolution_method",),
        _resolution,
    ),
    "assign": _BulkAction(
        lifecycle.assign_all,
        ("assignee",),
        ("assignee",),
        lambda body: {"assignee": body["assignee"]},
    ),
    "severity": _BulkAction(
        lifecycle.set_severity_all,
        ("severity", "reason"),
        ("severity", "reason"),
        _severity,
    ),
}
