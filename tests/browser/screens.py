"""Every screen of the admin: what has to be there for it to be seen, and where it is."""

from __future__ import annotations

from decimal import Decimal

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.urls import reverse

from config.actors import Actor
from config.operations.models import AuditEvent
from config.tenancy.models import ApiKey, Tenant
from exports.enums import BundleType
from exports.models import Bundle, SigningKey
from exports.services import exporting, reviews
from incidents.enums import RuleMode, WebhookEvent
from incidents.models import (
    CostAnomaly,
    CostRecord,
    Evidence,
    Failure,
    Incident,
    PolicyEvaluation,
    PolicyRule,
    Prevention,
    Run,
    SenderSettings,
    SeverityTarget,
    Violation,
    WebhookDelivery,
    WebhookEndpoint,
)
from incidents.services import costs, evaluations, rules, senders, webhooks
from lessons.models import Lesson, Proposal
from tests.browser.seed import Seeded
from tests.factories import facts
from tests.factories.people import incident
from tests.factories.tenancy import issue_key

BY = Actor(via="test", name="grace")


def furnish(seeded: Seeded) -> None:
    """Gives the tenant at least one of everything that has a page."""
    tenant = seeded.acme
    webhooks.create(by=BY, tenant=tenant, url="https://hooks.example/x", events=list(WebhookEvent))
    SeverityTarget.objects.create(tenant=tenant, severity=4, acknowledge_seconds=300)
    senders.change_settings(by=BY, tenant=tenant, changes={"keep_prompts": True})
    rules.create(tenant=tenant, by=BY, name="No more", mode=RuleMode.SHADOW, trigger_type="noise")
    incident(tenant, "noisy", trigger_type="noise", calls=2)
    facts.fail(tenant, "run-8", error_message="It broke", duration_ms=1200, metadata={"a": [1]})
    facts.spend(tenant, run_id="run-8")
    costs.record(tenant=tenant, request_id="req-1", cost_cents=Decimal("1.5"), run_id="run-8")
    evaluations.record(
        tenant=tenant, run_id="run-8", outcome="allowed", policies_checked=3, confidence=0.9
    )
    bundle = exporting.export(
        incident=seeded.old, bundle_type=BundleType.EVIDENCE, by=BY, reason="A look."
    ).bundle
    reviews.add(bundle=bundle, state="accepted", notes="Complete.", by=BY)
    issue_key(tenant)


def _page(model: type[Model], row: Model | None = None) -> str:
    meta = model._meta
    row = row or model._default_manager.all()[0]
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])


def _list(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _add(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def _acts(row: Model, *names: str) -> list[str]:
    screen = f"admin:{row._meta.app_label}_{row._meta.model_name}_act"
    return [reverse(screen, args=[row.pk, name]) for name in names]


def of_triage(seeded: Seeded) -> list[str]:
    """What is burning, and what is done about it."""
    shadow = PolicyRule.objects.get(name="No more")
    return [
        "/admin/",
        "/admin/?tenant=acme",
        "/admin/?tenant=globex",
        _list(Incident),
        f"{_list(Incident)}?topic=all&category=uncategorized&acknowledged=no",
        f"{_list(Incident)}?topic=resolved&search=nothing",
        _page(Incident, seeded.worst),
        _page(Incident, seeded.old),
        _page(Incident, seeded.violated),
        _page(Incident, Failure.objects.get(run_id="run-8").incident),
        _add(Incident),
        *_acts(seeded.worst, "resolve", "severity", "assign", "comment"),
        *_acts(seeded.old, "reopen"),
        reverse("admin:exports_bundle_export", args=[seeded.worst.pk]),
        _list(Run),
        _page(Run, Run.objects.get(run_id="run-7")),
        _page(Run, Run.objects.get(run_id="run-8")),
        _list(PolicyRule),
        _add(PolicyRule),
        f"{_page(PolicyRule, shadow)}?backtest=1",
        *_acts(shadow, "change"),
    ]


def of_decisions(seeded: Seeded) -> list[str]:
    """What was learned, and what is proven."""
    lesson = Lesson.objects.filter(tenant=seeded.acme, status="pending")[0]
    proposal = Proposal.objects.filter(tenant=seeded.acme, status="draft")[0]
    bundle = Bundle.objects.all()[0]
    return [
        _list(Lesson),
        _page(Lesson, lesson),
        *_acts(lesson, "defer", "dismiss"),
        _list(Proposal),
        _page(Proposal, proposal),
        *_acts(proposal, "approve", "reject", "amend"),
        _list(Bundle),
        _page(Bundle),
        reverse("admin:exports_bundle_review", args=[bundle.pk]),
        _list(SigningKey),
        _page(SigningKey),
        *(_list(model) for model in _FACTS),
        *(_page(model) for model in _FACTS),
        f"{_list(Failure)}?q=nothing",
    ]


_FACTS: list[type[Model]] = [
    Failure,
    Violation,
    Evidence,
    Prevention,
    PolicyEvaluation,
    CostRecord,
    CostAnomaly,
    AuditEvent,
]


def of_setting_up(seeded: Seeded) -> list[str]:
    """Tenants, keys, people, and who is told."""
    user, hook = User.objects.get(username="root"), WebhookEndpoint.objects.get()
    return [
        *(_list(model) for model in (Tenant, ApiKey, User, Group)),
        *(_add(model) for model in (Tenant, ApiKey, User, Group)),
        _page(Tenant, seeded.acme),
        _page(ApiKey),
        _page(User, user),
        _page(Group),
        reverse("admin:auth_user_password_change", args=[user.pk]),
        reverse("admin:auth_user_delete", args=[user.pk]),
        reverse("admin:auth_group_delete", args=[Group.objects.all()[0].pk]),
        *(_list(model) for model in (WebhookEndpoint, WebhookDelivery, SenderSettings)),
        *(_page(model) for model in (WebhookEndpoint, WebhookDelivery, SenderSettings)),
        _add(WebhookEndpoint),
        _add(SenderSettings),
        reverse("admin:incidents_webhookendpoint_delete", args=[hook.pk]),
        reverse("admin:password_change"),
        *(
            reverse("admin:app_list", args=[label])
            for label in ("incidents", "lessons", "exports", "tenancy", "operations", "auth")
        ),
    ]


GROUPS = {"triage": of_triage, "decisions": of_decisions, "setting up": of_setting_up}
