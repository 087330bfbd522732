"""The addresses of incidents under /api/v1/."""

from __future__ import annotations

from django.urls import path

from incidents.views.alerts import AlertViewSet
from incidents.views.backtest import RuleInsightViewSet
from incidents.views.incidents import IncidentViewSet
from incidents.views.insights import InsightViewSet
from incidents.views.learnings import LearningViewSet

urlpatterns = [
    path("alerts/", AlertViewSet.as_view({"post": "create"}), name="alerts"),
    path("alerts/batch/", AlertViewSet.as_view({"post": "batch"}), name="alerts-batch"),
    path(
        "policy-rules/backtest/",
        RuleInsightViewSet.as_view({"post": "backtest"}),
        name="policy-rules-backtest",
    ),
    path(
        "policy-rules/<pk>/effectiveness/",
        RuleInsightViewSet.as_view({"get": "effectiveness"}),
        name="policy-rule-effectiveness",
    ),
    path(
        "incidents/",
        IncidentViewSet.as_view({"get": "list", "post": "create"}),
        name="incidents",
    ),
    path("incidents/count/", IncidentViewSet.as_view({"get": "count"}), name="incidents-count"),
    path("incidents/bulk/", IncidentViewSet.as_view({"post": "bulk"}), name="incidents-bulk"),
    path("incidents/<pk>/", IncidentViewSet.as_view({"get": "retrieve"}), name="incident"),
    *(
        path(
            f"incidents/<pk>/{action}/",
            IncidentViewSet.as_view({"post": action}),
            name=f"incident-{action}",
        )
        for action in ("acknowledge", "resolve", "reopen", "assign", "severity")
    ),
    path(
        "incidents/<pk>/events/",
        IncidentViewSet.as_view({"get": "list_events", "post": "comment"}),
        name="incident-events",
    ),
    path(
        "incidents/<pk>/alerts/",
        IncidentViewSet.as_view({"get": "list_alerts"}),
        name="incident-alerts",
    ),
    *(
        path(
            f"incidents/<pk>/{action}/",
            LearningViewSet.as_view({"get": action}),
            name=f"incident-{action}",
        )
        for action in ("learnings", "similar")
    ),
    *(
        path(
            f"insights/{action.replace('_', '-')}/",
            InsightViewSet.as_view({"get": action}),
            name=f"insights-{action.replace('_', '-')}",
        )
        for action in (
            "stats",
            "accounting",
            "metrics",
            "patterns",
            "recurrence",
            "cost_impact",
            "trend",
            "cost_trend",
            "distribution",
        )
    ),
    path(
        "insights/recurrence/<category>/",
        InsightViewSet.as_view({"get": "category_recurrence"}),
        name="insights-category-recurrence",
    ),
    path(
        "categories/<category>/learnings/",
        InsightViewSet.as_view({"get": "category_learnings"}),
        name="category-learnings",
    ),
]
