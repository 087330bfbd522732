"""The evidence of an incident, its recurrences, and the beginning of its post-mortem."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api.idempotency import IdempotentMixin
from config.api.parameters import ListParameters, Parameters
from config.api.views import TenantViewSet
from incidents.errors import IncidentNotFound
from incidents.models import Incident
from incidents.serializers.facts import EvidenceBody, PostmortemAnswer, PostmortemBody
from incidents.serializers.incidents import IncidentSummary
from incidents.serializers.runs import EvidenceRow
from incidents.services import evidence, postmortem_stub, signatures
from incidents.views.summaries import page_of_summaries


class EvidenceViewSet(IdempotentMixin, TenantViewSet):
    """incidents/{id}/evidence/, recurrences/ and postmortem/."""

    queryset = Incident.objects.all()
    serializer_class = EvidenceRow
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "read",
        "recurrences": "read",
        "create": "triage",
        "start_postmortem": "triage",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": ListParameters,
        "recurrences": ListParameters,
    }

    @extend_schema(summary="The evidence of an incident", responses=EvidenceRow(many=True))
    def list(self, request: Request, pk: UUID) -> Response:
        return self.page(self._incident(pk).evidence.all(), EvidenceRow)

    @extend_schema(summary="Add evidence", request=EvidenceBody, responses={201: EvidenceRow})
    def create(self, request: Request, pk: UUID) -> Response:
        incident = self._incident(pk)
        body = EvidenceBody.read(request.data)
        kept = evidence.attach(
            incident=incident,
            by=Actor(via=self.caller.key.name, name=body.get("actor")),
            kind=body["kind"],
            data=body["data"],
            recovery_executed=body["recovery_executed"],
        )
        return Response(EvidenceRow(kept).data, status=201)

    @extend_schema(summary="The same failure at other times", responses=IncidentSummary(many=True))
    def recurrences(self, request: Request, pk: UUID) -> Response:
        return page_of_summaries(self, signatures.recurrences(incident=self._incident(pk)))

    @extend_schema(
        summary="Begin the post-mortem", request=PostmortemBody, responses={201: PostmortemAnswer}
    )
    def start_postmortem(self, request: Request, pk: UUID) -> Response:
        incident = self._incident(pk)
        body = PostmortemBody.read(request.data)
        stub = postmortem_stub.start(
            incident=incident, by=Actor(via=self.caller.key.name, name=body.get("actor"))
        )
        return Response(PostmortemAnswer(stub).data, status=201)

    def _incident(self, pk: UUID) -> Incident:
        incident: Incident | None = self.one(pk)
        if incident is None:
            raise IncidentNotFound
        return incident
