from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from config.tenancy.models import ApiKey, StaffTenant, Tenant
from config.tenancy.services import keys
from tests.factories.tenancy import TenantFactory, issue_key

pytestmark = pytest.mark.django_db

# The page also holds the tenant's targets: none of them here.
NO_TARGETS = {"severity_targets-TOTAL_FORMS": "0", "severity_targets-INITIAL_FORMS": "0"}


def test_tenant_overrides_are_editable(admin_client: Client) -> None:
    tenant = TenantFactory.create()
    address = reverse("admin:tenancy_tenant_change", args=[tenant.pk])
    answer = admin_client.post(address, {"name": "New", "window_seconds": "60", **NO_TARGETS})
    assert answer.status_code == 302
    tenant.refresh_from_db()
    assert (tenant.name, tenant.window_seconds, tenant.cooldown_seconds) == ("New", 60, None)


def test_tenant_override_out_of_range(admin_client: Client) -> None:
    tenant = TenantFactory.create()
    address = reverse("admin:tenancy_tenant_change", args=[tenant.pk])
    answer = admin_client.post(address, {"name": "New", "window_seconds": "0", **NO_TARGETS})
    assert answer.status_code == 200
    tenant.refresh_from_db()
    assert tenant.window_seconds is None


def test_tenant_cannot_be_deleted_or_renamed(admin_client: Client) -> None:
    tenant = TenantFactory.create()
    delete = reverse("admin:tenancy_tenant_delete", args=[tenant.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    change = reverse("admin:tenancy_tenant_change", args=[tenant.pk])
    admin_client.post(change, {"id": "other", "name": "x"})
    assert [t.pk for t in Tenant.objects.all()] == [tenant.pk]


def test_key_is_issued_and_shown_once(admin_client: Client) -> None:
    tenant = TenantFactory.create()
    answer = admin_client.post(
        reverse("admin:tenancy_apikey_add"),
        {
            "tenant": tenant.pk,
            "name": "platform",
            "scopes": ["read", "triage"],
            "expires_in_days": "30",
        },
        follow=True,
    )
    shown = re.findall(r"fb_[a-z0-9]{10}_[A-Za-z0-9]{43}", answer.content.decode())
    key = keys.authenticate(shown[0])
    assert (key.tenant_id, key.name, key.scopes) == (tenant.pk, "platform", ["read", "triage"])
    assert ApiKey.objects.count() == 1
    again = admin_client.get(reverse("admin:tenancy_apikey_changelist")).content.decode()
    assert key.prefix in again
    assert shown[0] not in again


def test_key_form_refuses(admin_client: Client) -> None:
    tenant = TenantFactory.create()
    form = {"tenant": tenant.pk, "name": "n", "scopes": ["read"], "expires_in_days": "1"}
    for bad in ({"scopes": ["write"]}, {"name": "a\x07b"}, {"expires_in_days": "0"}):
        answer = admin_client.post(reverse("admin:tenancy_apikey_add"), form | bad)
        assert answer.status_code == 200
    assert not ApiKey.objects.exists()


def test_key_page_shows_no_digest(admin_client: Client) -> None:
    key, _ = issue_key()
    page = admin_client.get(reverse("admin:tenancy_apikey_change", args=[key.pk]))
    content = page.content.decode()
    assert page.status_code == 200
    assert key.prefix in content
    assert "digest" not in content.lower()
    assert bytes(key.digest).hex() not in content


def test_key_cannot_be_edited_or_deleted(admin_client: Client) -> None:
    key, _ = issue_key(name="kept")
    change = reverse("admin:tenancy_apikey_change", args=[key.pk])
    delete = reverse("admin:tenancy_apikey_delete", args=[key.pk])
    assert admin_client.post(change, {"name": "x"}).status_code == 403
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert ApiKey.objects.get().name == "kept"


def revoke(client: Client, key: ApiKey) -> None:
    client.post(
        reverse("admin:tenancy_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(key.pk)]},
    )


def test_key_is_revoked_by_the_action(admin_client: Client) -> None:
    key, _ = issue_key()
    other, _ = issue_key()
    revoke(admin_client, key)
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
    assert ApiKey.objects.get(pk=other.pk).revoked_at is None


def test_key_is_not_revoked_without_the_permission(client: Client) -> None:
    key, _ = issue_key()
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(user)
    revoke(client, key)
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None


def test_key_is_revoked_on_its_page(admin_client: Client) -> None:
    key, _ = issue_key()
    address = reverse("admin:tenancy_apikey_change", args=[key.pk])
    revoking = reverse("admin:tenancy_apikey_revoke", args=[key.pk])
    assert revoking in admin_client.get(address).content.decode()
    assert admin_client.get(revoking).status_code == 302
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None
    admin_client.post(revoking)
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
    assert revoking not in admin_client.get(address).content.decode()


def test_key_is_not_revoked_on_its_page_without_the_permission(client: Client) -> None:
    key, _ = issue_key()
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    StaffTenant.objects.create(user=user, tenant_id=key.tenant_id)
    client.force_login(user)
    address = reverse("admin:tenancy_apikey_change", args=[key.pk])
    revoking = reverse("admin:tenancy_apikey_revoke", args=[key.pk])
    assert revoking not in client.get(address).content.decode()
    assert client.post(revoking).status_code == 403
    stranger, _ = issue_key()
    other = reverse("admin:tenancy_apikey_revoke", args=[stranger.pk])
    assert client.post(other).status_code == 404
    assert not ApiKey.objects.filter(revoked_at__isnull=False).exists()


def test_key_form_offers_one_key_at_a_time(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:tenancy_apikey_add")).content.decode()
    assert "_addanother" not in page
    assert "_continue" not in page


def test_tenant_list_shows_overrides(admin_client: Client) -> None:
    TenantFactory.create(window_seconds=1200)
    page = admin_client.get(reverse("admin:tenancy_tenant_changelist")).content.decode()
    assert "window seconds 1,200" in page


def test_key_says_when_it_was_used(admin_client: Client) -> None:
    key, _ = issue_key()
    ApiKey.objects.filter(pk=key.pk).update(
        last_used_at=datetime(2026, 11, 28, 16, 44, 42, 367746, UTC)
    )
    address = reverse("admin:tenancy_apikey_change", args=[key.pk])
    assert "2026-11-28 16:44:42 UTC" in admin_client.get(address).content.decode()


def test_role_is_deleted_with_the_names_of_who_loses_it(admin_client: Client) -> None:
    role = Group.objects.get(name="viewer")
    address = reverse("admin:auth_group_delete", args=[role.pk])
    assert "viewer, which nobody has" in admin_client.get(address).content.decode()
    for name in ("vera", "ada"):
        User.objects.create_user(name).groups.add(role)
    shown = admin_client.get(address).content.decode()
    assert "viewer, which ada, vera will lose" in shown
    assert "permission" not in shown.partition('id="content-main"')[2].lower()
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Group.objects.filter(pk=role.pk).exists()
