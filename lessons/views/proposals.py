"""Reading and deciding about proposals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api.idempotency import IdempotentMixin
from config.api.parameters import Parameters
from config.api.views import TenantViewSet
from incidents.enums import RuleMode
from incidents.serializers.backtest import BacktestAnswer, DaysBody
from lessons.errors import ProposalNotFound
from lessons.filters import ProposalFilter, ProposalListParameters
from lessons.models import Proposal
from lessons.serializers import ApproveBody, ProposalDetail, ProposalRow, RejectBody
from lessons.services import proposals


class ProposalViewSet(IdempotentMixin, TenantViewSet):
    """Proposals of the key's tenant."""

    queryset = Proposal.objects.all()
    serializer_class = ProposalDetail
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "read",
        "retrieve": "read",
        "approve": "admin",
        "reject": "triage",
        "backtest": "triage",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {"list": ProposalListParameters}

    @extend_schema(summary="List proposals", responses=ProposalRow(many=True))
    def list(self, request: Request) -> Response:
        return self.page(ProposalFilter(request.query_params, self.get_queryset()).qs, ProposalRow)

    @extend_schema(summary="One proposal", responses=ProposalDetail)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(ProposalDetail(self._proposal(pk)).data)

    @extend_schema(summary="Approve: make the rule", request=ApproveBody, responses=ProposalDetail)
    def approve(self, request: Request, pk: UUID) -> Response:
        proposal = self._proposal(pk)
        body = ApproveBody.read(request.data)
        approved = proposals.approve(
            proposal=proposal, by=self._actor(body), mode=RuleMode(body["mode"])
        )
        return Response(ProposalDetail(approved).data)

    @extend_schema(summary="Reject", request=RejectBody, responses=ProposalDetail)
    def reject(self, request: Request, pk: UUID) -> Response:
        proposal = self._proposal(pk)
        body = RejectBody.read(request.data)
        rejected = proposals.reject(proposal=proposal, by=self._actor(body), reason=body["reason"])
        return Response(ProposalDetail(rejected).data)

    @extend_schema(
        summary="What its rule would have prevented", request=DaysBody, responses=BacktestAnswer
    )
    def backtest(self, request: Request, pk: UUID) -> Response:
        proposal = self._proposal(pk)
        body = DaysBody.read(request.data)
        return Response(
            BacktestAnswer(proposals.backtest(proposal=proposal, days=body["days"])).data
        )

    def _proposal(self, pk: UUID) -> Proposal:
        proposal: Proposal | None = self.one(pk, "tenant")
        if proposal is None:
            raise ProposalNotFound
        return proposal

    def _actor(self, body: Mapping[str, Any]) -> Actor:
        return Actor(via=self.caller.key.name, name=body.get("actor"))
