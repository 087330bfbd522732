"""What incidents add up to: GET insights/ and what categories teach."""

from __future__ import annotations

from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.parameters import Parameters
from config.api.values import SLUG, SLUG_DETAIL
from config.api.views import TenantViewSet
from config.errors import Invalid
from incidents.models import Incident
from incidents.serializers import insights
from incidents.services import metrics, patterns, postmortem, recurrence, statistics, trends
from incidents.services.trends import Granularity

UTC = ZoneInfo("UTC")


class InsightViewSet(TenantViewSet):
    """Insights go by `started_at`; a figure without data is null."""

    queryset = Incident.objects.none()
    plans_once = True
    action_scopes: ClassVar[dict[str, str]] = {
        "stats": "read",
        "accounting": "read",
        "metrics": "read",
        "patterns": "read",
        "recurrence": "read",
        "category_recurrence": "read",
        "cost_impact": "read",
        "trend": "read",
        "cost_trend": "read",
        "distribution": "read",
        "category_learnings": "read",
    }
    # All but the accounting, which whoever just reported may ask for at once.
    may_lag = frozenset(action_scopes) - {"accounting"}
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "stats": insights.SinceParameters,
        "accounting": insights.SinceParameters,
        "metrics": insights.MetricsParameters,
        "patterns": insights.PatternsParameters,
        "recurrence": insights.RecurrenceParameters,
        "category_recurrence": insights.CategoryRecurrenceParameters,
        "cost_impact": insights.CostImpactParameters,
        "trend": insights.TrendParameters,
        "cost_trend": insights.TrendParameters,
        "distribution": insights.DistributionParameters,
        "category_learnings": insights.LearningsParameters,
    }

    @extend_schema(summary="Statistics", responses=insights.StatisticsAnswer)
    def stats(self, request: Request) -> Response:
        found = statistics.of_tenant(tenant=self.tenant, **self.query)
        return Response(insights.StatisticsAnswer(found).data)

    @extend_schema(
        summary="What became of everything received", responses=insights.AccountingAnswer
    )
    def accounting(self, request: Request) -> Response:
        found = statistics.accounting(tenant=self.tenant, **self.query)
        return Response(insights.AccountingAnswer(found).data)

    @extend_schema(summary="Metrics", responses=insights.MetricsAnswer)
    def metrics(self, request: Request) -> Response:
        found = metrics.of_window(tenant=self.tenant, **self.query)
        return Response(insights.MetricsAnswer(found).data)

    @extend_schema(summary="Patterns", responses=insights.PatternsAnswer)
    def patterns(self, request: Request) -> Response:
        found = patterns.detect(tenant=self.tenant, **self.query)
        return Response(insights.PatternsAnswer(found).data)

    @extend_schema(summary="What recurs", responses=insights.RecurrencesAnswer)
    def recurrence(self, request: Request) -> Response:
        found = recurrence.of_tenant(tenant=self.tenant, **self.query)
        return Response(insights.RecurrencesAnswer(found).data)

    @extend_schema(
        operation_id="insights_category_recurrence",
        summary="How a category recurs",
        responses=insights.CategoryRecurrenceAnswer,
    )
    def category_recurrence(self, request: Request, category: str) -> Response:
        found = recurrence.of_category(
            tenant=self.tenant, category=_category(category), **self.query
        )
        return Response(insights.CategoryRecurrenceAnswer(found).data)

    @extend_schema(summary="Costs by category", responses=insights.CostImpactAnswer)
    def cost_impact(self, request: Request) -> Response:
        found = metrics.cost_impact(tenant=self.tenant, **self.query)
        return Response(insights.CostImpactAnswer(found).data)

    @extend_schema(summary="Incidents by period", responses=insights.TrendAnswer)
    def trend(self, request: Request) -> Response:
        found = trends.trend(tenant=self.tenant, **self._periods())
        return Response(insights.TrendAnswer(found).data)

    @extend_schema(summary="Costs by period", responses=insights.CostTrendAnswer)
    def cost_trend(self, request: Request) -> Response:
        found = trends.cost_trend(tenant=self.tenant, **self._periods())
        return Response(insights.CostTrendAnswer(found).data)

    @extend_schema(
        summary="Incidents by severity, status and more", responses=insights.DistributionAnswer
    )
    def distribution(self, request: Request) -> Response:
        found = metrics.distribution(tenant=self.tenant, **self.query)
        return Response(insights.DistributionAnswer(found).data)

    @extend_schema(summary="What a category teaches", responses=insights.CategoryLearningsAnswer)
    def category_learnings(self, request: Request, category: str) -> Response:
        found = postmortem.of_category(
            tenant=self.tenant, category=_category(category), **self.query
        )
        return Response(insights.CategoryLearningsAnswer(found).data)

    def _periods(self) -> dict[str, Any]:
        return {
            "window_days": self.query["window_days"],
            "granularity": Granularity(self.query["granularity"]),
            "tz": self.query.get("tz", UTC),
        }


def _category(text: str) -> str:
    """A category that there may be; Invalid for any other text."""
    if not SLUG.fullmatch(text):
        raise Invalid.field("/category", SLUG_DETAIL)
    return text
