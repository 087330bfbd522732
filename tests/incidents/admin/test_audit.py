"""The audit log in the admin: to be looked at by whom it concerns, and by nobody changed."""

from __future__ import annotations

import pytest
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse

from config.actors import Actor
from config.operations import audit
from config.operations.models import AuditEvent
from config.tenancy import scope
from config.tenancy.models import Tenant
from tests.factories.people import person

pytestmark = pytest.mark.django_db

LIST = "admin:operations_auditevent_changelist"


@pytest.fixture
def entries(tenant: Tenant, other: Tenant) -> list[AuditEvent]:
    """One of each tenant and one of none."""
    return [
        audit.record(
            f"thing {place}", by=Actor(via="admin", name="grace"), tenant_id=whose, data={"a": 1}
        )
        for place, whose in enumerate((tenant.pk, other.pk, None))
    ]


@pytest.mark.parametrize("role", ["compliance", "administrator"])
def test_staff_read_their_tenants_entries(
    client: Client, tenant: Tenant, entries: list[AuditEvent], role: str
) -> None:
    client.force_login(person(role, tenant))
    own, foreign, general = entries
    assert list(client.get(reverse(LIST)).context["cl"].result_list) == [own]
    page = client.get(reverse("admin:operations_auditevent_change", args=[own.pk]))
    assert "Read only" in page.content.decode()
    for other in (foreign, general):
        address = reverse("admin:operations_auditevent_change", args=[other.pk])
        assert client.get(address).status_code == 302


@pytest.mark.parametrize("role", ["viewer", "responder"])
def test_other_roles_do_not_read_it(
    client: Client, tenant: Tenant, entries: list[AuditEvent], role: str
) -> None:
    client.force_login(person(role, tenant))
    assert client.get(reverse(LIST)).status_code == 403


def test_superuser_reads_and_narrows_all_of_it(
    client: Client, tenant: Tenant, entries: list[AuditEvent]
) -> None:
    client.force_login(person(None))
    found = client.get(reverse(LIST)).context["cl"].result_list
    # The log keeps for ever what was committed to this database, and the login is in it too.
    things = [one.action for one in found if one.action.startswith("thing")]
    assert things == ["thing 2", "thing 1", "thing 0"]
    narrowed = client.get(reverse(LIST), {"tenant_id": tenant.pk})
    assert list(narrowed.context["cl"].result_list) == [entries[0]]
    assert list(client.get(reverse(LIST), {"q": "thing 2"}).context["cl"].result_list) == [
        entries[2]
    ]


def test_nobody_changes_it(client: Client, entries: list[AuditEvent]) -> None:
    client.force_login(person(None))
    assert client.get(reverse("admin:operations_auditevent_add")).status_code == 403
    for page in ("change", "delete"):
        address = reverse(f"admin:operations_auditevent_{page}", args=[entries[0].pk])
        assert client.post(address, {"post": "yes", "action": "x"}).status_code == 403
    assert AuditEvent.objects.get(pk=entries[0].pk).action == "thing 0"


def test_staff_write_of_their_tenants_alone(tenant: Tenant, other: Tenant) -> None:
    with scope.staff({tenant.pk}):
        audit.record("own", by=Actor(via="admin"), tenant_id=tenant.pk)
    with pytest.raises(DatabaseError, match="row-level security"), scope.staff({tenant.pk}):
        audit.record("foreign", by=Actor(via="admin"), tenant_id=other.pk)
