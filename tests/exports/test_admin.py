from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from config.operations.models import AuditEvent
from config.tenancy.models import Tenant
from exports.models import Bundle, BundleReview, SigningKey
from exports.services import keys, verification
from incidents.models import Incident
from tests.factories import exporting as scenarios
from tests.factories.people import person
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(tenant: Tenant) -> Incident:
    return scenarios.everything(tenant)


@pytest.fixture
def auditor(tenant: Tenant, client: Client) -> Client:
    """A browser of Grace, of compliance, who sees ``tenant`` alone."""
    client.force_login(person("compliance", tenant, name="grace"))
    return client


def export(client: Client, incident: Incident, **more: Any) -> Any:
    address = reverse("admin:exports_bundle_export", args=[incident.pk])
    return client.post(address, {"bundle_type": "soc2", "reason": "Audit", **more})


def page(client: Client, name: str, *args: Any) -> Any:
    return client.get(reverse(f"admin:exports_{name}", args=args))


def test_export_names_the_person_and_the_files_verify(auditor: Client, incident: Incident) -> None:
    form = page(auditor, "bundle_export", incident.pk).content.decode()
    assert 'name="auditor_notes"' in form
    done = export(
        auditor, incident, period_from="2026-10-01", period_to="2026-12-31", auditor_notes="CC7.4?"
    )
    bundle = Bundle.objects.get()
    assert (done.status_code, done["Location"]) == (
        302,
        reverse("admin:exports_bundle_change", args=[bundle.pk]),
    )
    assert (bundle.created_by, bundle.reason) == ("grace via admin", "Audit")
    assert AuditEvent.objects.get(action="bundle exported").actor == "grace"
    shown = page(auditor, "bundle_change", bundle.pk).content.decode()
    assert bundle.sha256 in shown
    links = re.findall(r'href="([^"]+/download/\w+/)"', shown)
    assert [link.rsplit("/", 2)[1] for link in links] == ["json", "pdf", "zip"]
    for link in links:
        file = auditor.get(link)
        assert file["Content-Disposition"].startswith("attachment; ")
        if not link.endswith("pdf/"):
            found = verification.verify(file.content, public_keys=keys.installed())
            assert found.ok, found.failure
    assert b'"period":{"end":"2027-01-01T00:00:00Z","start":"2026-10-01T00:00:00Z"}' in bytes(
        bundle.document
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"bundle_type": "summary"},
        {"period_from": "2026-10-01"},
        {"period_from": "2026-10-02", "period_to": "2026-10-01"},
    ],
    ids=str,
)
def test_export_asks_again_for_what_is_wrong(
    auditor: Client, incident: Incident, wrong: dict[str, str]
) -> None:
    assert export(auditor, incident, **wrong).status_code == 400
    assert not Bundle.objects.exists()


def test_export_shows_a_refusal(auditor: Client, incident: Incident, settings: Any) -> None:
    settings.SIGNING_KEY = "not a key"
    answer = export(auditor, incident)
    assert answer.status_code == 400
    assert "SIGNING_KEY is not an unencrypted private key" in answer.content.decode()
    assert not Bundle.objects.exists()


def test_review_is_appended_with_the_name(auditor: Client, incident: Incident) -> None:
    export(auditor, incident)
    bundle = Bundle.objects.get()
    address = reverse("admin:exports_bundle_review", args=[bundle.pk])
    assert auditor.get(address).status_code == 200
    assert auditor.post(address, {"state": "great"}).status_code == 400
    for state in ("changes_requested", "accepted"):
        notes = "<script>alert(1)</script>"
        assert auditor.post(address, {"state": state, "notes": notes}).status_code == 302
    assert list(BundleReview.objects.values_list("state", "created_by")) == [
        ("accepted", "grace via admin"),
        ("changes_requested", "grace via admin"),
    ]
    shown = page(auditor, "bundle_change", bundle.pk).content.decode()
    assert "<script>alert" not in shown
    assert "changes requested" in shown


def test_bundle_can_be_neither_edited_nor_deleted(admin_client: Client, incident: Incident) -> None:
    export(admin_client, incident)
    bundle = Bundle.objects.get()
    assert page(admin_client, "bundle_add").status_code == 403
    assert (
        admin_client.post(
            reverse("admin:exports_bundle_delete", args=[bundle.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
    change = reverse("admin:exports_bundle_change", args=[bundle.pk])
    assert admin_client.post(change, {"reason": "Other"}).status_code == 403
    assert Bundle.objects.get().reason == "Audit"
    assert admin_client.get(reverse("admin:exports_bundle_changelist")).status_code == 200


def test_staff_of_another_tenant_find_nothing(auditor: Client, incident: Incident) -> None:
    export(auditor, incident)
    bundle = Bundle.objects.get()
    stranger = Client()
    stranger.force_login(person("compliance", TenantFactory.create(), name="mallory"))
    assert page(stranger, "bundle_export", incident.pk).status_code == 404
    assert export(stranger, incident).status_code == 404
    assert page(stranger, "bundle_download", bundle.pk, "json").status_code == 404
    assert page(stranger, "bundle_review", bundle.pk).status_code == 404
    assert str(bundle.pk) not in page(stranger, "bundle_changelist").content.decode()
    # A page of what is not there leads home, as the admin's own do.
    assert page(stranger, "bundle_change", bundle.pk).status_code == 302
    assert Bundle.objects.count() == 1


def test_whoever_may_only_look_cannot_export_or_review(
    auditor: Client, incident: Incident, tenant: Tenant
) -> None:
    export(auditor, incident)
    bundle = Bundle.objects.get()
    viewer = Client()
    viewer.force_login(person("viewer", tenant, name="vic"))
    assert export(viewer, incident).status_code == 403
    assert page(viewer, "bundle_review", bundle.pk).status_code == 403
    assert page(viewer, "bundle_download", bundle.pk, "zip").status_code == 200
    assert page(viewer, "bundle_download", bundle.pk, "exe").status_code == 404


def test_incident_page_leads_to_its_exports(auditor: Client, incident: Incident) -> None:
    address = reverse("admin:incidents_incident_change", args=[incident.pk])
    before = auditor.get(address).content.decode()
    assert reverse("admin:exports_bundle_export", args=[incident.pk]) in before
    assert "Nothing was exported yet." in before
    export(auditor, incident)
    after = auditor.get(address).content.decode()
    assert reverse("admin:exports_bundle_change", args=[Bundle.objects.get().pk]) in after


def test_signing_key_page_shows_the_public_half(admin_client: Client, incident: Incident) -> None:
    export(admin_client, incident)
    key = SigningKey.objects.get()
    shown = page(admin_client, "signingkey_change", key.pk).content.decode()
    assert f'<pre class="fb-pem">{key.public_pem}</pre>' in shown
    assert "Read only" in shown
    assert "PRIVATE" not in shown
    assert keys.fingerprint(keys.parse_public(key.public_pem)) in shown
    assert page(admin_client, "signingkey_add").status_code == 403
