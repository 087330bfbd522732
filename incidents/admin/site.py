"""The frame of the admin: its style sheet, and what its side bar leads to."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

# By group: what it is called, the model's list that it opens, its icon. What a person may not
# see, or is not installed, is left out.
_GROUPS = (
    (
        "Triage",
        (
            ("Incidents", "incidents.incident", "local_fire_department"),
            ("Runs", "incidents.run", "route"),
            ("Failures", "incidents.failure", "error"),
            ("Violations", "incidents.violation", "gavel"),
            ("Evidence", "incidents.evidence", "fingerprint"),
        ),
    ),
    (
        "Learn",
        (
            ("Lessons", "lessons.lesson", "school"),
            ("Proposals", "lessons.proposal", "lightbulb"),
            ("Rules", "incidents.policyrule", "rule"),
            ("Preventions", "incidents.prevention", "shield"),
        ),
    ),
    (
        "Prove",
        (
            ("Exports", "exports.bundle", "folder_zip"),
            ("Audit log", "operations.auditevent", "history_edu"),
            ("Policy evaluations", "incidents.policyevaluation", "fact_check"),
            ("Cost records", "incidents.costrecord", "payments"),
            ("Cost anomalies", "incidents.costanomaly", "trending_up"),
            ("Signing keys", "exports.signingkey", "verified"),
        ),
    ),
    (
        "Set up",
        (
            ("Tenants", "tenancy.tenant", "domain"),
            ("API keys", "tenancy.apikey", "key"),
            ("Senders", "incidents.sendersettings", "input"),
            ("Webhooks", "incidents.webhookendpoint", "webhook"),
            ("Deliveries", "incidents.webhookdelivery", "outbox"),
            ("People", "auth.user", "person"),
            ("Roles", "auth.group", "group"),
        ),
    ),
)


def stylesheet(request: HttpRequest) -> str:
    """The address of the screens' own styles."""
    return static("incidents/admin.css")


def favicon(request: HttpRequest) -> str:
    """The address of the small picture that browsers put beside the title."""
    return static("incidents/favicon.svg")


def names() -> dict[str, str]:
    """What the side bar calls each list, by the list's address."""
    return {
        reverse(f"admin:{label.replace('.', '_')}_changelist"): name
        for _, entries in _GROUPS
        for name, label, _ in entries
    }


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the side bar that the person may see."""
    home = {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"title": "", "items": [home]}]
    for title, entries in _GROUPS:
        items = []
        for name, label, icon in entries:
            app, model = label.split(".")
            if model not in apps.all_models[app]:
                continue
            screen = admin.site._registry.get(apps.get_model(label))
            if screen is None or not screen.has_view_permission(request):
                continue
            items.append(
                {
                    "title": name,
                    "icon": icon,
                    "link": reverse(f"admin:{app}_{model}_changelist"),
                }
            )
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups
