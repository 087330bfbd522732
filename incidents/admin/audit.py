"""The audit log in the admin: who did what that an auditor will ask about; never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.backstage import tenants
from config.operations.models import AuditEvent
from incidents.admin.facts import FactAdmin
from incidents.templatetags.firebreak import NOTHING


class TenantFilter(admin.SimpleListFilter):
    """One of the tenants that the person sees; entries name theirs without a foreign key."""

    title = "tenant"
    parameter_name = "tenant_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(id_, id_) for id_ in tenants(request).values_list("pk", flat=True)[:1000]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(tenant_id=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(FactAdmin):
    """Logins, keys, exports and the like. Who sees all tenants also sees what is of none."""

    ordering = ["-created_at", "-id"]
    list_display = ["action", "of", "who", "whose", "when"]
    list_filter = [TenantFilter]  # type: ignore[list-item]
    search_fields = ["action", "target__exact", "actor__exact"]
    search_help_text = "Words of the action, exact target or person"
    empty_words = "Logins, exports and what else an auditor asks about will be listed here."

    @display(description="What it was done to")  # type: ignore[untyped-decorator]
    def of(self, entry: AuditEvent) -> str | SafeString:
        return entry.target or NOTHING

    @display(description="Who")  # type: ignore[untyped-decorator]
    def who(self, entry: AuditEvent) -> str:
        return f"{entry.actor} via {entry.via}" if entry.actor else entry.via

    @display(description="Tenant")  # type: ignore[untyped-decorator]
    def whose(self, entry: AuditEvent) -> str | SafeString:
        return entry.tenant_id or NOTHING
