"""Lessons and proposals in the admin: what was learned, and what is to be made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.actors import Actor
from config.api import values
from config.errors import FirebreakError
from incidents.admin import panels
from incidents.admin.forms import ActForm, DayInput
from incidents.admin.subjects import Deed, SubjectAdmin
from incidents.enums import RuleMode
from incidents.models import Incident, PolicyRule
from incidents.models.rule import MATCHED
from incidents.templatetags.firebreak import NOTHING, ago, badge, severity_badge
from lessons.enums import LessonStatus, ProposalStatus
from lessons.models import Lesson, Proposal
from lessons.services import lifecycle, proposals, reporting, transitions
from lessons.services.drafting import Matcher

TRIAGE: Final = "lessons.change_lesson"
DECIDE: Final = "lessons.change_proposal"
SHOWN: Final = 100
SLUG: Final = rf"\A{values.SLUG.pattern}\Z"
# Figures stop counting here: a list of so many is long, whatever its length.
MANY: Final = 1_000


class DeferForm(ActForm):
    until = forms.DateField(widget=DayInput, help_text="It waits again from that day on, UTC.")

    def arguments(self) -> dict[str, Any]:
        return {"until": datetime.combine(self.cleaned_data["until"], time(), tzinfo=UTC)}


class ReasonForm(ActForm):
    reason = forms.CharField(
        max_length=2000, widget=forms.Textarea({"rows": 3}), help_text="It is kept."
    )


class ApproveForm(ActForm):
    mode = forms.ChoiceField(
        choices=[
            ("shadow", "shadow: records what it would prevent"),
            ("active", "active: prevents"),
        ]
    )

    def arguments(self) -> dict[str, Any]:
        return {"mode": RuleMode(self.cleaned_data["mode"])}


class AmendForm(ActForm):
    """What a draft would match; a report has to be equal in all that is filled in."""

    name = forms.CharField(max_length=200)
    trigger_type = forms.RegexField(SLUG, required=False)
    error_code = forms.CharField(max_length=200, required=False, strip=False)
    category = forms.RegexField(SLUG, required=False)
    agent_id = forms.RegexField(rf"\A{values.IDENTIFIER.pattern}\Z", required=False, label="Agent")

    def arguments(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "name": given["name"],
            "matcher": Matcher(**{name: given[name] or None for name in MATCHED}),
        }


def _of_lesson(act: transitions.Transition) -> Any:
    return lambda lesson: transitions.can(act, lesson)


def _of_proposal(act: transitions.Transition) -> Any:
    return lambda proposal: transitions.can(act, proposal)


def _convert(lesson: Lesson, by: Actor) -> None:
    lifecycle.convert(lesson=lesson, by=by)


def _defer(lesson: Lesson, by: Actor, until: datetime) -> None:
    lifecycle.defer(lesson=lesson, by=by, until=until)


def _dismiss(lesson: Lesson, by: Actor, reason: str) -> None:
    lifecycle.dismiss(lesson=lesson, by=by, reason=reason)


def _reactivate(lesson: Lesson, by: Actor) -> None:
    lifecycle.reactivate(lesson=lesson, by=by)


def _approve(proposal: Proposal, by: Actor, mode: RuleMode) -> None:
    proposals.approve(proposal=proposal, by=by, mode=mode)


def _amend(proposal: Proposal, by: Actor, name: str, matcher: Matcher) -> None:
    proposals.amend(proposal=proposal, by=by, name=name, matcher=matcher)


def _reject(proposal: Proposal, by: Actor, reason: str) -> None:
    proposals.reject(proposal=proposal, by=by, reason=reason)


@admin.register(Lesson)
class LessonAdmin(SubjectAdmin):
    noun = "Lesson"
    page_template = "admin/lessons/lesson/detail.html"
    list_display = ["title", "state", "kind", "severity_word", "tenant", "learned"]
    list_filter = ["status", "lesson_type", "severity", "tenant"]
    search_fields = ["title"]
    search_help_text = "Words in the title"
    empty_words = "Housekeeping captures lessons from new incidents."
    deeds = (
        Deed(
            "convert",
            "Convert to a proposal",
            "Converted",
            _convert,
            _of_lesson(transitions.CONVERT),
            TRIAGE,
        ),
        Deed(
            "defer",
            "Defer",
            "Deferred",
            _defer,
            _of_lesson(transitions.DEFER),
            TRIAGE,
            DeferForm,
        ),
        Deed(
            "dismiss",
            "Dismiss",
            "Dismissed",
            _dismiss,
            _of_lesson(transitions.DISMISS),
            TRIAGE,
            ReasonForm,
        ),
        Deed(
            "reactivate",
            "Reactivate",
            "Reactivated",
            _reactivate,
            _of_lesson(transitions.REACTIVATE),
            TRIAGE,
        ),
    )

    @display(description="Status")  # type: ignore[untyped-decorator]
    def state(self, lesson: Lesson) -> SafeString:
        return badge(lesson.status)

    @display(description="Type")  # type: ignore[untyped-decorator]
    def kind(self, lesson: Lesson) -> str:
        return lesson.lesson_type.replace("_", " ")

    @display(description="Severity")  # type: ignore[untyped-decorator]
    def severity_word(self, lesson: Lesson) -> SafeString:
        return NOTHING if lesson.severity is None else severity_badge(lesson.severity)

    @display(description="Learned")  # type: ignore[untyped-decorator]
    def learned(self, lesson: Lesson) -> SafeString:
        return ago(lesson.created_at)

    def page_context(self, request: HttpRequest, subject: Lesson) -> dict[str, Any]:
        return {
            "history": subject.events.order_by("-created_at", "-id")[:SHOWN],  # type: ignore[attr-defined]
            "repeats": reporting.repeats_of(lesson=subject),
        }


@admin.register(Proposal)
class ProposalAdmin(SubjectAdmin):
    noun = "Proposal"
    page_template = "admin/lessons/proposal/detail.html"
    list_display = ["name", "state", "policy", "tenant", "drafted"]
    list_filter = ["status", "kind", "tenant"]
    search_fields = ["name"]
    search_help_text = "Words in the name"
    empty_words = "High and critical incidents yield proposals, and lessons that are converted."
    deeds = (
        Deed(
            "approve",
            "Approve",
            "Approved: the rule is made",
            _approve,
            _of_proposal(transitions.APPROVE),
            DECIDE,
            ApproveForm,
        ),
        Deed(
            "reject",
            "Reject",
            "Rejected",
            _reject,
            _of_proposal(transitions.REJECT),
            DECIDE,
            ReasonForm,
        ),
        Deed(
            "amend",
            "Amend",
            "Amended",
            _amend,
            _of_proposal(transitions.AMEND),
            DECIDE,
            AmendForm,
        ),
    )

    def initial(self, deed: Deed, subject: Proposal) -> dict[str, Any]:
        if deed.name != "amend":
            return {}
        return {"name": subject.name, **asdict(proposals.matcher_of(subject))}

    @display(description="Status")  # type: ignore[untyped-decorator]
    def state(self, proposal: Proposal) -> SafeString:
        return badge(proposal.status)

    @display(description="Policy")  # type: ignore[untyped-decorator]
    def policy(self, proposal: Proposal) -> str:
        return proposal.kind.replace("_", " ")

    @display(description="Drafted")  # type: ignore[untyped-decorator]
    def drafted(self, proposal: Proposal) -> SafeString:
        return ago(proposal.created_at)

    def deed_view(self, request: HttpRequest, object_id: UUID, name: str) -> HttpResponse:
        """Before anybody approves, they are shown what the rule would have prevented."""
        answer = super().deed_view(request, object_id, name)
        if name == "approve" and isinstance(answer, TemplateResponse):
            assert answer.context_data is not None  # noqa: S101 - a form is shown with a context
            answer.template_name = "admin/lessons/proposal/approve.html"
            answer.context_data |= _backtested(answer.context_data["subject"])
        return answer

    def page_context(self, request: HttpRequest, subject: Proposal) -> dict[str, Any]:
        matcher = proposals.matcher_of(subject)
        context: dict[str, Any] = {
            "history": subject.events.order_by("-created_at", "-id")[:SHOWN],  # type: ignore[attr-defined]
            "rule": PolicyRule.objects.filter(pk=subject.rule_id).first(),
            "matched": [
                (name.replace("_id", "").replace("_", " "), value)
                for name in MATCHED
                if (value := getattr(matcher, name))
            ],
        }
        # It reads months of alerts: whoever has to decide sees it at once, others by a link.
        if subject.status == ProposalStatus.DRAFT or "backtest" in request.GET:
            context |= _backtested(subject)
        return context


def _backtested(proposal: Proposal) -> dict[str, Any]:
    try:
        return {"backtested": proposals.backtest(proposal=proposal)}
    except FirebreakError as error:
        return {"not_backtested": error.detail}


def _of_incident(request: HttpRequest, incident: Incident) -> dict[str, Any] | None:
    if not request.user.has_perm("lessons.view_lesson"):
        return None
    return {
        "lessons": Lesson.objects.filter(incident=incident).order_by("-id")[:10],
        "proposals": Proposal.objects.filter(incident=incident).order_by("-id")[:10],
    }


def _waiting(request: HttpRequest, tenants: Iterable[str] | None) -> list[panels.Figure]:
    """The lessons and proposals that nobody has decided about."""
    figures = []
    for name, model, status, note in (
        ("Lessons waiting", Lesson, LessonStatus.PENDING, "to be decided about"),
        ("Proposals waiting", Proposal, ProposalStatus.DRAFT, "to be approved or rejected"),
    ):
        label = model._meta.model_name
        if not request.user.has_perm(f"lessons.view_{label}"):
            continue
        waiting = model.objects.filter(status=status)
        query = {"status__exact": str(status)}
        if tenants is not None:
            tenants = list(tenants)
            waiting = waiting.filter(tenant_id__in=tenants)
            if len(tenants) == 1:
                query["tenant__id__exact"] = tenants[0]
        number = waiting.order_by()[: MANY + 1].count()
        value = f"{MANY:,}+" if number > MANY else f"{number:,}"
        address = reverse(f"admin:lessons_{label}_changelist")
        figures.append(panels.Figure(name, value, note, f"{address}?{urlencode(query)}"))
    return figures


panels.add_panel(panels.Panel("lessons", "Lessons", "incidents/admin/lessons.html", _of_incident))
panels.add_figures(_waiting)
