"""People of the admin, and incidents for them to look at."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User

from config import clock
from config.tenancy.models import StaffTenant, Tenant
from incidents.models import Incident
from incidents.services import aggregation
from incidents.services.reports import Report

PASSWORD = "correct horse battery"


def person(role: str | None, *tenants: Tenant, name: str | None = None) -> User:
    """Somebody with a role (None: a superuser) who sees these tenants."""
    name = name or role or "root"
    if role is None:
        return User.objects.create_superuser(name, password=PASSWORD)
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    StaffTenant.objects.bulk_create(StaffTenant(user=user, tenant=tenant) for tenant in tenants)
    return user


def incident(
    tenant: Tenant, kind: str = "timeouts", *, calls: int = 1, prefix: str = "call", **report: Any
) -> Incident:
    """The incident that so many calls of a kind were folded into."""
    report.setdefault("trigger_type", "failure_spike")
    report.setdefault("occurred_at", clock.now())
    absorbed = aggregation.absorb(
        tenant=tenant,
        alerts=[
            Report(group_key=kind, call_id=f"{prefix}-{kind}-{number}", **report)
            for number in range(calls)
        ],
        via="test",
    )
    (found,) = absorbed.incidents.values()
    return Incident.objects.get(pk=found.pk)
