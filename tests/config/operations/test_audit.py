"""That what an auditor asks about is written, through the API, the admin and commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from config.actors import COMMAND_LINE
from config.operations import audit
from config.operations.models import AuditEvent
from config.tenancy.models import ApiKey, Tenant
from exports.enums import BundleType
from exports.services import exporting
from tests.config.tenancy.test_admin import NO_TARGETS
from tests.factories.facts import BY, make_incident
from tests.factories.people import PASSWORD, person
from tests.factories.tenancy import TenantFactory, bearer, issue_key

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture(autouse=True)
def _no_key_is_left(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create(id="northwind")
    return tenant


@pytest.fixture
def root() -> Client:
    person(None)
    client = Client()
    client.login(username="root", password=PASSWORD)
    return client


@pytest.fixture
def api(tenant: Tenant) -> Callable[..., Any]:
    _, plaintext = issue_key(tenant, name="ci")
    client = Client(headers=bearer(plaintext))

    def call(method: str, path: str, body: Any = None) -> Any:
        if body is None and method == "post":
            body = {}
        data = {} if body is None else {"data": json.dumps(body), "content_type": JSON}
        answer = getattr(client, method)(f"/api/v1/{path}", **data)
        assert answer.status_code < 400, answer.content
        return answer.json() if answer.content[:1] == b"{" else answer

    return call


def last(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action).latest("created_at")


def said(action: str) -> tuple[str | None, str | None, str]:
    event = last(action)
    return event.tenant_id, event.actor, event.via


def test_keys_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("issue_api_key", "acme", "--scopes", "read")
    plaintext = capsys.readouterr().out.splitlines()[-1]
    key = ApiKey.objects.get()
    assert said("key issued") == ("acme", None, "command line")
    assert last("key issued").target == f"key {key.prefix}"
    call_command("revoke_api_key", key.prefix)
    call_command("revoke_api_key", key.prefix)
    assert said("key revoked") == ("acme", None, "command line")
    # Revoking it again changed nothing, and no secret is ever written.
    assert AuditEvent.objects.count() == 2
    assert plaintext.split("_")[2] not in str(list(AuditEvent.objects.values()))


def test_keys_and_settings_in_the_admin(root: Client, tenant: Tenant) -> None:
    root.post(
        reverse("admin:tenancy_apikey_add"),
        {"tenant": tenant.pk, "name": "new", "scopes": ["read"]},
    )
    assert said("key issued") == ("northwind", "root", "admin")
    key = ApiKey.objects.get()
    root.post(
        reverse("admin:tenancy_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(key.pk)]},
    )
    assert said("key revoked") == ("northwind", "root", "admin")
    change = reverse("admin:tenancy_tenant_change", args=[tenant.pk])
    given = {"name": tenant.name, "alert_days": "30", "incident_days": "60", **NO_TARGETS}
    assert root.post(change, given).status_code == 302
    assert said("tenant settings changed") == ("northwind", "root", "admin")
    assert last("tenant settings changed").data == {
        "alert_days": {"from": None, "to": 30},
        "incident_days": {"from": None, "to": 60},
    }
    targets = {
        "severity_targets-TOTAL_FORMS": "1",
        "severity_targets-INITIAL_FORMS": "0",
        "severity_targets-0-severity": "4",
        "severity_targets-0-resolve_seconds": "60",
    }
    assert root.post(change, given | targets).status_code == 302
    assert last("tenant settings changed").data["saved"][0]["resolve_seconds"] == 60


def test_incidents_that_would_not_outlive_alerts_are_refused_in_words(
    root: Client, tenant: Tenant
) -> None:
    change = reverse("admin:tenancy_tenant_change", args=[tenant.pk])
    page = root.post(change, {"alert_days": "", "incident_days": "60", **NO_TARGETS})
    assert page.status_code == 200
    assert "Incidents are kept at least as long as alerts" in page.content.decode()
    assert not AuditEvent.objects.filter(action="tenant settings changed").exists()


def test_rules_proposals_and_webhooks_by_the_api(api: Any, tenant: Tenant) -> None:
    rule = api("post", "policy-rules/", {"name": "r", "trigger_type": "a", "mode": "shadow"})
    assert said("rule created") == ("northwind", None, "ci")
    api("patch", f"policy-rules/{rule['id']}/", {"mode": "active"})
    assert last("rule changed").data == {"mode": {"from": "shadow", "to": "active"}}
    for verb, body in (("approve", {}), ("reject", {"reason": "no"})):
        lesson = api(
            "post",
            "lessons/",
            {
                "lesson_type": "failure",
                "title": "t",
                "description": "d",
                "incident_id": str(make_incident(tenant, group_key=verb).pk),
            },
        )
        converted = api("post", f"lessons/{lesson['id']}/convert/")
        proposal = converted.get("proposal_id") or converted["proposal"]
        api("post", f"proposals/{proposal}/{verb}/", body)
        assert said(f"proposal {verb.rstrip('e')}ed") == ("northwind", None, "ci")
    hook = api("post", "webhooks/", {"url": "https://example.com/token-1", "events": ["opened"]})
    api("patch", f"webhooks/{hook['id']}/", {"is_enabled": False})
    rotated = api("post", f"webhooks/{hook['id']}/rotate-secret/")
    api("delete", f"webhooks/{hook['id']}/")
    api("patch", "senders/settings/", {"sentry_secret": "hush-hush"})
    for action in (
        "webhook created",
        "webhook changed",
        "webhook secret rotated",
        "webhook deleted",
        "sender settings changed",
    ):
        assert said(action) == ("northwind", None, "ci")
    log = str(list(AuditEvent.objects.values()))
    for secret in (hook["secret"], rotated["secret"], "hush-hush", "token-1"):
        assert secret not in log


def test_exports_downloads_and_keys_that_sign(api: Any, root: Client, tenant: Tenant) -> None:
    incident = make_incident(tenant)
    made = api("post", "exports/", {"incident_id": str(incident.pk), "bundle_type": "evidence"})
    assert said("bundle exported") == ("northwind", None, "ci")
    api("get", f"exports/{made['id']}/download/?as=zip")
    assert said("bundle downloaded") == ("northwind", None, "ci")
    assert last("bundle downloaded").data["form"] == "zip"
    root.get(reverse("admin:exports_bundle_download", args=[made["id"], "pdf"]))
    assert said("bundle downloaded") == ("northwind", "root", "admin")
    exporting.export(incident=incident, bundle_type=BundleType.SOC2, by=BY)
    assert said("bundle exported") == ("northwind", "Ada", "test key")
    call_command("rotate_signing_key")
    assert said("signing key rotated") == (None, None, "command line")


def test_audit_log_is_read_in_the_admin_by_who_sees_the_tenant(tenant: Tenant) -> None:
    other = TenantFactory.create()
    for owner in (tenant.pk, other.pk, None):
        audit.record("rule created", by=COMMAND_LINE, tenant_id=owner, target=f"rule {owner}")
    address = reverse("admin:operations_auditevent_changelist")
    shown = {}
    for role in ("compliance", "administrator", "viewer", None):
        person(role, tenant)
        client = Client()
        client.login(username=role or "root", password=PASSWORD)
        page = client.get(address)
        shown[role] = [
            name in page.content.decode()
            for name in (f"rule {tenant.pk}", f"rule {other.pk}", "rule None")
        ]
        if role == "compliance":
            for target, status in ((tenant.pk, 200), (other.pk, 302), (None, 302)):
                event = AuditEvent.objects.get(target=f"rule {target}")
                one = reverse("admin:operations_auditevent_change", args=[event.pk])
                assert client.get(one).status_code == status
                assert client.post(one, {"action": "x"}).status_code in (302, 403)
                delete = reverse("admin:operations_auditevent_delete", args=[event.pk])
                assert client.post(delete, {"post": "yes"}).status_code in (302, 403)
    assert shown == {
        "compliance": [True, False, False],
        "administrator": [True, False, False],
        "viewer": [False, False, False],
        None: [True, True, True],
    }
    assert AuditEvent.objects.filter(action="rule created").count() == 3
