"""Facts in the admin: failures, violations, evidence, costs, preventions; never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.backstage import ReadOnlyModelAdmin
from incidents.enums import Outcome
from incidents.models import (
    CostAnomaly,
    CostRecord,
    Evidence,
    Failure,
    PolicyEvaluation,
    Prevention,
    Violation,
)
from incidents.templatetags.firebreak import NOTHING, ago, badge, money, readable, severity_badge


class FactAdmin(ReadOnlyModelAdmin):
    """A list and a page of facts, the newest first; every field shown as a person reads it."""

    ordering = ["-id"]
    sortable_by = []
    list_filter = ["tenant"]
    list_per_page = 50
    empty_value_display = NOTHING
    # Fields that have a face of their own, by the name of the method that gives it.
    faces = {
        "incident": "incident_link",
        "severity": "severity_word",
        "outcome": "outcome_word",
        "metadata": "metadata_shown",
        "data": "data_shown",
        "cost_cents": "cost",
        "cost_delta_cents": "cost",
    }

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        names = [
            f.name for f in self.model._meta.concrete_fields if f.name not in ("id", "alert_key")
        ]
        return [self.faces.get(name, name) for name in names]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj)

    @display(description="Incident")  # type: ignore[untyped-decorator]
    def incident_link(self, fact: Any) -> SafeString:
        if fact.incident_id is None:
            return NOTHING
        return format_html(
            '<a class="fb-link" href="{}">{}</a>',
            reverse("admin:incidents_incident_change", args=[fact.incident_id]),
            str(fact.incident_id),
        )

    @display(description="Severity")  # type: ignore[untyped-decorator]
    def severity_word(self, fact: Any) -> SafeString:
        try:
            return severity_badge(int(fact.severity))
        except (TypeError, ValueError):
            return badge(fact.severity)

    @display(description="Outcome")  # type: ignore[untyped-decorator]
    def outcome_word(self, fact: Any) -> SafeString:
        try:
            return badge(Outcome(int(fact.outcome)).label)
        except (TypeError, ValueError):
            return badge(fact.outcome)

    @display(description="Metadata")  # type: ignore[untyped-decorator]
    def metadata_shown(self, fact: Any) -> SafeString:
        return readable(fact.metadata)

    @display(description="Data")  # type: ignore[untyped-decorator]
    def data_shown(self, fact: Any) -> SafeString:
        return readable(fact.data)

    @display(description="Cost")  # type: ignore[untyped-decorator]
    def cost(self, fact: Any) -> Any:
        value = getattr(fact, "cost_delta_cents", None)
        return money(value if value is not None else getattr(fact, "cost_cents", None))

    @display(description="When")  # type: ignore[untyped-decorator]
    def when(self, fact: Model) -> SafeString:
        return ago(fact.created_at)  # type: ignore[attr-defined]


@admin.register(Failure)
class FailureAdmin(FactAdmin):
    list_display = ["error_code", "failure_type", "run_id", "tenant", "severity_word", "when"]
    list_filter = ["failure_type", "tenant"]
    search_fields = ["run_id__exact", "error_code__exact"]
    search_help_text = "Exact run or error code"


@admin.register(Violation)
class ViolationAdmin(FactAdmin):
    list_display = ["policy_id", "rule_id", "run_id", "tenant", "severity_word", "when"]
    search_fields = ["run_id__exact", "policy_id__exact"]
    search_help_text = "Exact run or policy"


@admin.register(PolicyEvaluation)
class PolicyEvaluationAdmin(FactAdmin):
    list_display = ["run_id", "tenant", "outcome", "policies_checked", "confidence", "when"]
    search_fields = ["run_id__exact"]
    search_help_text = "Exact run"
    faces = {}


@admin.register(Evidence)
class EvidenceAdmin(FactAdmin):
    list_display = ["kind", "tenant", "incident_link", "run_id", "when"]
    list_display_links = ["kind"]
    search_fields = ["run_id__exact"]
    search_help_text = "Exact run"


@admin.register(CostRecord)
class CostRecordAdmin(FactAdmin):
    list_display = ["request_id", "tenant", "run_id", "model", "tokens", "cost", "when"]
    search_fields = ["request_id__exact", "run_id__exact"]
    search_help_text = "Exact request or run"


@admin.register(CostAnomaly)
class CostAnomalyAdmin(FactAdmin):
    list_display = ["anomaly_id", "kind", "tenant", "severity_word", "cost", "when"]
    search_fields = ["anomaly_id__exact", "run_id__exact"]
    search_help_text = "Exact anomaly or run"


@admin.register(Prevention)
class PreventionAdmin(FactAdmin):
    list_display = ["rule", "mode", "tenant", "trigger_type", "call_id", "when"]
    list_filter = ["mode", "tenant"]
    list_select_related = ["rule"]
    search_fields = ["run_id__exact", "call_id__exact"]
    search_help_text = "Exact run or call"
