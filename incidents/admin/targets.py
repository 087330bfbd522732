"""Service levels in the admin: how soon a tenant wants its incidents handled."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from config.backstage import LabelledTabularInline
from config.tenancy.admin import TenantAdmin
from incidents.models import SeverityTarget


class TargetInline(LabelledTabularInline):
    """The targets by severity, on the page of their tenant; empty means no such target."""

    model = SeverityTarget
    fields = ["severity", "acknowledge_seconds", "resolve_seconds"]
    extra = 0
    max_num = 4

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("incidents.add_severitytarget"))


TenantAdmin.inlines = [*TenantAdmin.inlines, TargetInline]
