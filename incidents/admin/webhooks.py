"""Webhooks and their deliveries in the admin, and what a tenant wants of senders."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from config.backstage import ReadOnlyModelAdmin, TenantModelAdmin, actor
from config.errors import FirebreakError
from incidents.enums import Severity, WebhookEvent
from incidents.models import SenderSettings, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from incidents.senders.redaction import MAX_PATTERN, MAX_PATTERNS, pattern_errors
from incidents.services import senders, webhooks
from incidents.services.webhooks.transport import url_error
from incidents.templatetags.firebreak import NOTHING, ago, badge, readable


class _Lines(forms.CharField):
    """A list of texts, one on each line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in (super().to_python(value) or "").splitlines()]
        return [line for line in lines if line]


class _Slugs(_Lines):
    def validate(self, value: Any) -> None:
        super().validate(value)
        field = forms.RegexField(r"\A[a-z0-9_.-]{1,50}\Z")
        for line in value:
            field.clean(line)


class WebhookForm(forms.ModelForm):
    """What a webhook is made of; the service makes it, and its secret."""

    events = forms.MultipleChoiceField(
        choices=WebhookEvent.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget()
    )
    trigger_types = _Slugs(required=False, help_text="One on each line; empty: all.")
    categories = _Slugs(required=False, help_text="One on each line; empty: all.")

    class Meta:
        model = WebhookEndpoint
        fields = [
            "tenant",
            "url",
            "description",
            "events",
            "min_severity",
            "trigger_types",
            "categories",
            "is_enabled",
        ]
        widgets = {"url": UnfoldAdminTextInputWidget()}
        labels = {"url": "URL", "min_severity": "From severity", "is_enabled": "Enabled"}
        help_texts = {"min_severity": "Of less severe incidents it is told nothing. Empty: of all."}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if wrong := url_error(url):
            raise forms.ValidationError(f"It {wrong}.")
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(TenantModelAdmin):
    """Who is told of incidents. A secret is shown once, when it is made."""

    form = WebhookForm
    list_display = ["url", "tenant", "events_shown", "severity_shown", "state"]
    sortable_by: ClassVar[list[str]] = []
    empty_words = "Nobody is told of incidents yet."
    add_words = "Add a webhook"
    list_filter = ["is_enabled", "tenant"]
    actions = ["rotate_secret"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["tenant"]

    def save_model(
        self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool
    ) -> None:
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        if change:
            webhooks.update(by=actor(request), endpoint=obj, changes=given)
            return
        made = webhooks.create(
            by=actor(request), **{name: form.cleaned_data[name] for name in form.cleaned_data}
        )
        # The admin goes on with the object that its form made: it becomes the one that was saved.
        obj.__dict__.update(made.__dict__)
        self._show(request, made)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[Any], list[Any]]:
        """How many deliveries go with each webhook, and not each of them by name."""
        endpoints = list(objs)
        counts = dict(
            WebhookDelivery.objects.filter(endpoint__in=endpoints)
            .values_list("endpoint")
            .annotate(Count("pk"))
            .order_by()
        )
        listed = [
            f"{endpoint} and its log: {counts.get(endpoint.pk, 0):,} deliveries"
            for endpoint in endpoints
        ]
        summary = {"webhooks": len(endpoints), "deliveries": sum(counts.values())}
        allowed = self.has_delete_permission(request)
        return listed, summary, set() if allowed else {self.opts.verbose_name}, []

    def delete_model(self, request: HttpRequest, obj: WebhookEndpoint) -> None:
        webhooks.delete(by=actor(request), endpoint=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            webhooks.delete(by=actor(request), endpoint=endpoint)

    @action(description="Give a new secret", permissions=["change"])  # type: ignore[untyped-decorator]
    def rotate_secret(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            self._show(request, webhooks.rotate_secret(by=actor(request), endpoint=endpoint))

    def _show(self, request: HttpRequest, endpoint: WebhookEndpoint) -> None:
        text = f"The secret of {endpoint.url}, shown only this once: {endpoint.secret}"
        self.message_user(request, text, level=messages.WARNING)

    @display(description="Events")  # type: ignore[untyped-decorator]
    def events_shown(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events)

    @display(description="From severity")  # type: ignore[untyped-decorator]
    def severity_shown(self, endpoint: WebhookEndpoint) -> str:
        return Severity(endpoint.min_severity or Severity.LOW).label

    @display(description="State")  # type: ignore[untyped-decorator]
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        return badge("on" if endpoint.is_enabled else "off")


class AttemptInline(TabularInline):
    """The log of a delivery."""

    model = WebhookAttempt
    fields = readonly_fields = [
        "number",
        "created_at",
        "status_code",
        "response",
        "error",
        "duration_ms",
    ]
    ordering = ["-number"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyModelAdmin):
    """What is, was or will be sent, and what came back."""

    list_display = ["kind", "endpoint", "tenant", "status_shown", "attempts", "when"]
    list_filter = ["status", "kind", "tenant"]
    list_select_related = ["tenant", "endpoint"]
    # Ids grow with time, and no other index serves the deliveries of all webhooks.
    ordering = ["-id"]
    sortable_by: list[str] = []
    empty_words = "Nothing was sent yet: add a webhook."
    actions = ["redeliver"]
    inlines = [AttemptInline]
    fields = readonly_fields = [
        "tenant",
        "endpoint",
        "incident",
        "kind",
        "status",
        "attempts",
        "next_attempt_at",
        "created_at",
        "finished_at",
        "body_shown",
    ]

    def has_redeliver_permission(self, request: HttpRequest) -> bool:
        """Sending again is a change of the outbox, though no field of it is ever edited."""
        return bool(request.user.has_perm("incidents.change_webhookdelivery"))

    @action(description="Send again", permissions=["redeliver"])  # type: ignore[untyped-decorator]
    def redeliver(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        sent = 0
        for delivery in queryset:
            try:
                webhooks.redeliver(delivery=delivery)
                sent += 1
            except FirebreakError as error:
                self.message_user(request, f"{delivery.pk}: {error}", level=messages.ERROR)
        if sent:
            self.message_user(request, f"{sent} will be sent again with the next housekeeping.")

    @display(description="Status")  # type: ignore[untyped-decorator]
    def status_shown(self, delivery: WebhookDelivery) -> SafeString:
        return badge(delivery.status)

    @display(description="When")  # type: ignore[untyped-decorator]
    def when(self, delivery: WebhookDelivery) -> SafeString:
        return ago(delivery.created_at)

    @display(description="What is sent")  # type: ignore[untyped-decorator]
    def body_shown(self, delivery: WebhookDelivery) -> SafeString:
        return readable(json.loads(delivery.body)) if delivery.body else NOTHING


class SenderSettingsForm(forms.ModelForm):
    """What a tenant wants of senders; the secret can be given, and is never shown."""

    redaction_patterns = _Lines(
        required=False,
        help_text="One pattern of RE2 on each line; what matches is replaced. Empty: the "
        "product's own.",
    )
    sentry_secret = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="The client secret of the tenant's Sentry integration. Empty: as it is.",
    )

    class Meta:
        model = SenderSettings
        fields = [
            "tenant",
            "keep_prompts",
            "redaction_patterns",
            "resolve_on_resolved",
            "sentry_secret",
        ]
        help_texts = {
            "keep_prompts": "Keep prompts and answers of OTLP traces, redacted by the patterns "
            "below. Off: they are dropped before they are decoded.",
            "resolve_on_resolved": "When Alertmanager says that all alerts of an incident are "
            "over, it is resolved.",
        }

    def clean_redaction_patterns(self) -> list[str] | None:
        patterns: list[str] = self.cleaned_data["redaction_patterns"]
        if len(patterns) > MAX_PATTERNS or any(len(one) > MAX_PATTERN for one in patterns):
            raise forms.ValidationError(
                f"At most {MAX_PATTERNS} patterns of {MAX_PATTERN} characters."
            )
        if errors := pattern_errors(patterns, pointer=""):
            raise forms.ValidationError(
                [f"Pattern {int(e.pointer[1:]) + 1} {e.detail}." for e in errors]
            )
        return patterns or None


@admin.register(SenderSettings)
class SenderSettingsAdmin(TenantModelAdmin):
    """What tenants want of the systems that send to them."""

    form = SenderSettingsForm
    tenant_lookup = "tenant_id"
    list_display = ["tenant", "keep_prompts", "resolve_on_resolved", "has_sentry_secret"]
    list_filter = ["keep_prompts", "resolve_on_resolved"]
    sortable_by: ClassVar[list[str]] = []
    empty_words = "Every tenant has the defaults: prompts are dropped, nothing resolves by itself."
    add_words = "Add a tenant's settings"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["tenant"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = [*SenderSettingsForm.Meta.fields]
        if obj is not None and not self.has_change_permission(request, obj):
            fields.remove("sentry_secret")
        return fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: SenderSettings, form: Any, change: bool
    ) -> None:
        given = {
            name: value
            for name, value in form.cleaned_data.items()
            if name != "tenant" and (name != "sentry_secret" or value)
        }
        saved = senders.change_settings(by=actor(request), tenant=obj.tenant, changes=given)
        obj.__dict__.update(saved.__dict__)

    @display(description="Sentry's secret", boolean=True)  # type: ignore[untyped-decorator]
    def has_sentry_secret(self, settings: SenderSettings) -> bool:
        return bool(settings.sentry_secret)
