"""The addresses of incidents under /api/v1/."""

from __future__ import annotations

from django.urls import path

from incidents.views.alerts import AlertViewSet
from incidents.views.backtest import RuleInsightViewSet
from incidents.views.evidence import EvidenceViewSet
from incidents.views.facts import (
    CostAnomalyViewSet,
    CostRecordViewSet,
    EvaluationViewSet,
    ViolationViewSet,
)
from incidents.views.incidents import IncidentViewSet
from incidents.views.insights import InsightViewSet
from incidents.views.learnings import LearningViewSet
from incidents.views.rules import PreventionViewSet, RuleViewSet
from incidents.views.runs import RunViewSet
from incidents.views.senders import SenderSettingsViewSet, SenderViewSet, SentryViewSet
from incidents.views.webhooks import WebhookViewSet

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
    path(
        "incidents/<pk>/evidence/",
        EvidenceViewSet.as_view({"get": "list", "post": "create"}),
        name="incident-evidence",
    ),
    path(
        "incidents/<pk>/recurrences/",
        EvidenceViewSet.as_view({"get": "recurrences"}),
        name="incident-recurrences",
    ),
    path(
        "incidents/<pk>/postmortem/",
        EvidenceViewSet.as_view({"post": "start_postmortem"}),
        name="incident-postmortem",
    ),
    path("runs/", RunViewSet.as_view({"get": "list", "post": "create"}), name="runs"),
    path("runs/<run_id>/", RunViewSet.as_view({"get": "retrieve"}), name="run"),
    path("runs/<run_id>/complete/", RunViewSet.as_view({"post": "complete"}), name="run-complete"),
    path(
        "runs/<run_id>/trace/",
        RunViewSet.as_view({"get": "trace", "put": "store_trace"}),
        name="run-trace",
    ),
    path(
        "runs/<run_id>/failure/",
        RunViewSet.as_view({"get": "failure", "post": "fail"}),
        name="run-failure",
    ),
    path(
        "runs/<run_id>/incidents/", RunViewSet.as_view({"get": "incidents"}), name="run-incidents"
    ),
    path(
        "runs/<run_id>/contamination/",
        RunViewSet.as_view({"get": "contamination"}),
        name="run-contamination",
    ),
    path(
        "violations/",
        ViolationViewSet.as_view({"get": "list", "post": "create"}),
        name="violations",
    ),
    path("violations/truth/", ViolationViewSet.as_view({"get": "truth"}), name="violations-truth"),
    path("violations/<pk>/", ViolationViewSet.as_view({"get": "retrieve"}), name="violation"),
    *(
        path(f"{name}/", view.as_view({"get": "list", "post": "create"}), name=name)
        for name, view in (
            ("policy-evaluations", EvaluationViewSet),
            ("cost-records", CostRecordViewSet),
            ("cost-anomalies", CostAnomalyViewSet),
            ("policy-rules", RuleViewSet),
        )
    ),
    path("policy-rules/enabled/", RuleViewSet.as_view({"get": "enabled"}), name="rules-enabled"),
    path(
        "policy-rules/<pk>/",
        RuleViewSet.as_view({"get": "retrieve", "patch": "change"}),
        name="policy-rule",
    ),
    path(
        "policy-rules/<pk>/revisions/",
        RuleViewSet.as_view({"get": "revisions"}),
        name="policy-rule-revisions",
    ),
    path("preventions/", PreventionViewSet.as_view({"get": "list"}), name="preventions"),
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
    path(
        "senders/alertmanager/",
        SenderViewSet.as_view({"post": "alertmanager"}),
        name="senders-alertmanager",
    ),
    path(
        "senders/cloudevents/",
        SenderViewSet.as_view({"post": "cloudevents"}),
        name="senders-cloudevents",
    ),
    path(
        "senders/sentry/<prefix>/",
        SentryViewSet.as_view({"post": "sentry"}),
        name="senders-sentry",
    ),
    path(
        "senders/settings/",
        SenderSettingsViewSet.as_view({"get": "retrieve", "patch": "change"}),
        name="senders-settings",
    ),
    path("webhooks/", WebhookViewSet.as_view({"get": "list", "post": "create"}), name="webhooks"),
    path(
        "webhooks/<pk>/",
        WebhookViewSet.as_view({"get": "retrieve", "patch": "change", "delete": "destroy"}),
        name="webhook",
    ),
    path(
        "webhooks/<pk>/rotate-secret/",
        WebhookViewSet.as_view({"post": "rotate_secret"}),
        name="webhook-rotate-secret",
    ),
    path(
        "webhooks/<pk>/deliveries/",
        WebhookViewSet.as_view({"get": "list_deliveries"}),
        name="webhook-deliveries",
    ),
    path(
        "webhooks/<pk>/deliveries/<delivery>/",
        WebhookViewSet.as_view({"get": "retrieve_delivery"}),
        name="webhook-delivery",
    ),
    path(
        "webhooks/<pk>/deliveries/<delivery>/redeliver/",
        WebhookViewSet.as_view({"post": "redeliver"}),
        name="webhook-redeliver",
    ),
]
