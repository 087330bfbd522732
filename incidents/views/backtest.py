"""What rules would have prevented, and what they did."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.idempotency import IdempotentMixin
from config.api.views import TenantViewSet
from config.errors import NotFound
from incidents.models import PolicyRule
from incidents.models.rule import MATCHED
from incidents.serializers.backtest import BacktestAnswer, BacktestBody, EffectivenessAnswer
from incidents.services import backtest, effectiveness


class RuleInsightViewSet(IdempotentMixin, TenantViewSet):
    """Rules before and after they are made."""

    queryset = PolicyRule.objects.all()
    action_scopes: ClassVar[dict[str, str]] = {"backtest": "triage", "effectiveness": "read"}

    @extend_schema(
        summary="What a rule would have prevented", request=BacktestBody, responses=BacktestAnswer
    )
    def backtest(self, request: Request) -> Response:
        body = BacktestBody.read(request.data)
        found = backtest.run(
            tenant=self.tenant, days=body["days"], **{name: body.get(name) for name in MATCHED}
        )
        return Response(BacktestAnswer(found).data)

    @extend_schema(summary="What a rule prevented", responses=EffectivenessAnswer)
    def effectiveness(self, request: Request, pk: UUID) -> Response:
        rule = self.one(pk)
        if rule is None:
            raise NotFound("There is no rule with this id.")
        return Response(EffectivenessAnswer(effectiveness.of_rule(rule=rule)).data)
