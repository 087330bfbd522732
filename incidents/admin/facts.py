"""Facts in the admin: failures, violations, evidence, costs, preventions; never edited."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.backstage import ReadOnlyModelAdmin
from incidents.enums import Outcome, RuleMode
from incidents.models import (
    CostAnomaly,
    CostRecord,
    Evidence,
    Failure,
    PolicyEvaluation,
    Prevention,
    Violation,
)
from incidents.templatetags.firebreak import (
    NOTHING,
    ago,
    badge,
    count,
    money,
    ms,
    percent,
    plain,
    readable,
    severity_badge,
)


class FactAdmin(ReadOnlyModelAdmin):
    """A list and a page of facts, the newest first; every field shown as a person reads it."""

    ordering = ["-id"]
    sortable_by = []
    list_filter = ["tenant"]
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
        "run_id": "run",
        "duration_ms": "took",
        "sha256": "digest",
        "recovery_executed": "recovered",
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
            fact.incident.title[:120],
        )

    @display(description="Run")  # type: ignore[untyped-decorator]
    def run(self, fact: Any) -> SafeString:
        if not fact.run_id:
            return NOTHING
        return format_html(
            '<a class="fb-link" href="{}?{}">{}</a>',
            reverse("admin:incidents_run_changelist"),
            urlencode({"q": fact.run_id}),
            fact.run_id,
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

    @display(description="Took")  # type: ignore[untyped-decorator]
    def took(self, fact: Any) -> Any:
        return ms(fact.duration_ms)

    @display(description="SHA-256 of the data")  # type: ignore[untyped-decorator]
    def digest(self, fact: Any) -> SafeString:
        return format_html('<span class="fb-hash">{}</span>', fact.sha256)

    @display(description="Recovery executed")  # type: ignore[untyped-decorator]
    def recovered(self, fact: Any) -> str:
        return "yes" if fact.recovery_executed else "no"

    @display(description="When")  # type: ignore[untyped-decorator]
    def when(self, fact: Model) -> SafeString:
        return ago(fact.created_at)  # type: ignore[attr-defined]


@admin.register(Failure)
class FailureAdmin(FactAdmin):
    list_display = ["error_code", "kind", "run", "tenant", "severity_word", "when"]
    list_filter = ["failure_type", "tenant"]
    search_fields = ["run_id__exact", "error_code__exact"]
    search_help_text = "Exact run or error code"
    empty_words = "No run has failed yet: POST runs/{run_id}/failure/ reports one."

    @display(description="Type")  # type: ignore[untyped-decorator]
    def kind(self, failure: Failure) -> Any:
        return plain(failure.failure_type)


@admin.register(Violation)
class ViolationAdmin(FactAdmin):
    list_display = ["policy", "rule", "run", "tenant", "severity_word", "when"]
    search_fields = ["run_id__exact", "policy_id__exact"]
    search_help_text = "Exact run or policy"
    empty_words = "No policy was violated yet: POST violations/ reports it."

    @display(description="Policy")  # type: ignore[untyped-decorator]
    def policy(self, violation: Violation) -> str:
        return violation.policy_id

    @display(description="Rule")  # type: ignore[untyped-decorator]
    def rule(self, violation: Violation) -> str:
        return violation.rule_id


@admin.register(PolicyEvaluation)
class PolicyEvaluationAdmin(FactAdmin):
    list_display = ["evaluated", "tenant", "outcome", "policies_checked", "sure", "when"]
    search_fields = ["run_id__exact"]
    search_help_text = "Exact run"
    faces = {"confidence": "sure", "run_id": "run"}
    empty_words = "No evaluation of policies was reported yet: POST policy-evaluations/ does."

    @display(description="Run")  # type: ignore[untyped-decorator]
    def evaluated(self, evaluation: PolicyEvaluation) -> str:
        return evaluation.run_id

    @display(description="Confidence")  # type: ignore[untyped-decorator]
    def sure(self, evaluation: PolicyEvaluation) -> Any:
        return percent(float(evaluation.confidence))


@admin.register(Evidence)
class EvidenceAdmin(FactAdmin):
    list_display = ["kind", "tenant", "incident_link", "run", "when"]
    list_display_links = ["kind"]
    list_select_related = ["tenant", "incident"]
    empty_words = "No evidence was captured yet."
    search_fields = ["run_id__exact"]
    search_help_text = "Exact run"


@admin.register(CostRecord)
class CostRecordAdmin(FactAdmin):
    list_display = ["of", "tenant", "run", "model", "tokens_used", "cost", "when"]
    search_fields = ["request_id__exact", "run_id__exact"]
    search_help_text = "Exact request or run"
    empty_words = "No cost was recorded yet: POST cost-records/ does."

    @display(description="Request")  # type: ignore[untyped-decorator]
    def of(self, record: CostRecord) -> str:
        return record.request_id

    @display(description="Tokens")  # type: ignore[untyped-decorator]
    def tokens_used(self, record: CostRecord) -> Any:
        return count(record.tokens)


@admin.register(CostAnomaly)
class CostAnomalyAdmin(FactAdmin):
    list_display = ["anomaly", "kind", "tenant", "severity_word", "cost", "when"]
    search_fields = ["anomaly_id__exact", "run_id__exact"]
    search_help_text = "Exact anomaly or run"
    empty_words = "No anomaly of cost was reported yet: POST cost-anomalies/ does."

    @display(description="Anomaly")  # type: ignore[untyped-decorator]
    def anomaly(self, found: CostAnomaly) -> str:
        return found.anomaly_id


@admin.register(Prevention)
class PreventionAdmin(FactAdmin):
    list_display = ["rule", "state", "tenant", "trigger", "call", "when"]
    list_filter = ["mode", "tenant"]
    list_select_related = ["tenant", "rule"]
    search_fields = ["run_id__exact", "call_id__exact"]
    search_help_text = "Exact run or call"
    empty_words = "No rule has matched a report yet."

    @display(description="Mode")  # type: ignore[untyped-decorator]
    def state(self, prevention: Prevention) -> SafeString:
        return badge(
            "prevented" if prevention.mode == RuleMode.ACTIVE else "shadow", prevention.mode
        )

    @display(description="Trigger")  # type: ignore[untyped-decorator]
    def trigger(self, prevention: Prevention) -> str:
        return prevention.trigger_type

    @display(description="Call")  # type: ignore[untyped-decorator]
    def call(self, prevention: Prevention) -> str | SafeString:
        return prevention.call_id or NOTHING
