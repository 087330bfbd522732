"""Rules in the admin: what each binds, what it did, and every revision of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.actors import Actor
from config.backstage import actor, tenants
from config.errors import FirebreakError
from incidents.admin.forms import ActForm
from incidents.admin.subjects import Deed, SubjectAdmin
from incidents.enums import RuleMode
from incidents.models import Incident, PolicyRule, Prevention, RuleRevision
from incidents.models.rule import MATCHED
from incidents.services import backtest, effectiveness, rules
from incidents.templatetags.firebreak import ago, badge

CHANGE: Final = "incidents.change_policyrule"
REVISIONS: Final = 100
_SLUG: Final = r"\A[a-z0-9_.-]{1,50}\Z"
_IDENTIFIER: Final = r"\A[A-Za-z0-9._:@/+=-]{1,128}\Z"


class RuleForm(ActForm):
    """The fields of a rule; a report matches when it is equal in every one that is given."""

    name = forms.CharField(max_length=200)
    policy_type = forms.RegexField(_IDENTIFIER, required=False)
    mode = forms.ChoiceField(
        choices=[
            ("shadow", "shadow: records what it would prevent"),
            ("active", "active: prevents"),
        ]
    )
    is_active = forms.BooleanField(required=False, initial=True, label="In force")
    trigger_type = forms.RegexField(_SLUG, required=False, label="Trigger")
    error_code = forms.CharField(max_length=200, required=False)
    category = forms.RegexField(_SLUG, required=False)
    agent_id = forms.RegexField(_IDENTIFIER, required=False, label="Agent")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and not any(given.get(name) for name in MATCHED):
            raise forms.ValidationError(
                "Give at least one of trigger, error code, category and agent."
            )
        return given

    def arguments(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            name: given[name] if name in ("name", "is_active") else (given[name] or None)
            for name in rules.FIELDS
        } | {"mode": RuleMode(given["mode"])}


class NewRuleForm(RuleForm):
    tenant = forms.ChoiceField()
    field_order = ("tenant",)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST or None)
        self.fields["tenant"].choices = [  # type: ignore[attr-defined]
            (one.pk, one.pk) for one in tenants(request)
        ]


def _change(rule: PolicyRule, by: Actor, **changes: Any) -> None:
    rules.update(rule=rule, by=by, changes=changes)


def _switch(**changes: Any) -> Any:
    return lambda rule, by: rules.update(rule=rule, by=by, changes=changes)


@admin.register(PolicyRule)
class PolicyRuleAdmin(SubjectAdmin):
    """Rules; every change is a revision that is kept."""

    noun = "Rule"
    page_template = "admin/incidents/policyrule/detail.html"
    list_display = ["name", "tenant", "state", "matches", "changed"]
    list_filter = ["mode", "is_active", "tenant"]
    search_fields = ["name"]
    search_help_text = "Words in the name"
    empty_words = "A rule comes from a proposal that somebody approves, or is made by hand."
    add_words = "Make a rule"
    deeds = (
        Deed("change", "Change", "Changed", _change, lambda rule: True, CHANGE, RuleForm),
        Deed(
            "enforce",
            "Make it prevent",
            "It prevents from now on",
            _switch(mode=RuleMode.ACTIVE),
            lambda rule: rule.mode == RuleMode.SHADOW and rule.is_active,
            CHANGE,
        ),
        Deed(
            "shadow",
            "Back to shadow",
            "It only records from now on",
            _switch(mode=RuleMode.SHADOW),
            lambda rule: rule.mode == RuleMode.ACTIVE and rule.is_active,
            CHANGE,
        ),
        Deed(
            "disable",
            "Switch off",
            "Switched off",
            _switch(is_active=False),
            lambda rule: rule.is_active,
            CHANGE,
        ),
        Deed(
            "enable",
            "Switch on",
            "Switched on",
            _switch(is_active=True),
            lambda rule: not rule.is_active,
            CHANGE,
        ),
    )

    @display(description="State")  # type: ignore[untyped-decorator]
    def state(self, rule: PolicyRule) -> SafeString:
        return badge(rule.mode) if rule.is_active else badge("off")

    @display(description="Matches")  # type: ignore[untyped-decorator]
    def matches(self, rule: PolicyRule) -> str:
        return ", ".join(
            f"{name.replace('_', ' ')} {value}"
            for name in MATCHED
            if (value := getattr(rule, name))
        )

    @display(description="Changed")  # type: ignore[untyped-decorator]
    def changed(self, rule: PolicyRule) -> SafeString:
        return ago(rule.updated_at)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("incidents.add_policyrule"))

    def initial(self, deed: Deed, subject: PolicyRule) -> dict[str, Any]:
        return {name: getattr(subject, name) for name in rules.FIELDS}

    def page_context(self, request: HttpRequest, subject: PolicyRule) -> dict[str, Any]:
        query = urlencode({"rule__id__exact": str(subject.pk)})
        return {
            "matched": [
                (name.replace("_id", "").replace("_", " "), getattr(subject, name))
                for name in MATCHED
                if getattr(subject, name)
            ],
            "source": Incident.objects.filter(pk=subject.source_incident_id).first(),
            "effect": effectiveness.of_rule(rule=subject),
            "revisions": RuleRevision.objects.filter(rule=subject).order_by("-number")[:REVISIONS],
            "preventions_href": f"{reverse('admin:incidents_prevention_changelist')}?{query}",
            "preventions": _preventions(subject),
            "backtested": _backtested(request, subject),
        }

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewRuleForm(request)
        if request.method == "POST" and form.is_valid():
            try:
                rule = rules.create(
                    tenant=tenants(request).get(pk=form.cleaned_data["tenant"]),
                    by=actor(request),
                    **form.arguments(),
                )
            except FirebreakError as error:
                messages.error(request, error.detail)
            else:
                messages.success(request, "It binds every report from now on.")
                return HttpResponseRedirect(self._address(rule))
        return TemplateResponse(
            request,
            "admin/incidents/policyrule/add.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Make a rule",
                "form": form,
            },
        )


def _preventions(rule: PolicyRule) -> QuerySet[Prevention]:
    return Prevention.objects.filter(tenant_id=rule.tenant_id, rule=rule).order_by("-id")[:10]


def _backtested(request: HttpRequest, rule: PolicyRule) -> backtest.Backtest | None:
    """What it would have prevented: asked for by a link, since it reads months of alerts."""
    if "backtest" not in request.GET:
        return None
    matched = {name: getattr(rule, name) for name in MATCHED}
    return backtest.run(tenant=rule.tenant, days=timedelta(days=90).days, **matched)
