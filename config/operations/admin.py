"""The audit log in the admin, to be read."""

from __future__ import annotations

import json
from typing import ClassVar

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.backstage import ReadOnlyModelAdmin
from config.operations.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyModelAdmin):
    """Who did what that an auditor will ask about; of their tenants, and superusers of all."""

    ordering = ["-created_at", "-id"]
    sortable_by: ClassVar[list[str]] = []
    list_display = ["when", "action", "tenant_id", "target", "actor", "via"]
    list_filter = ["action"]
    search_fields = ["tenant_id__exact", "target__exact", "actor__exact"]
    search_help_text = "Exact tenant, target or person"
    empty_value_display = "-"
    fields = readonly_fields = [
        "when",
        "action",
        "tenant_id",
        "target",
        "actor",
        "via",
        "told",
    ]

    @display(description="When")  # type: ignore[untyped-decorator]
    def when(self, event: AuditEvent) -> str:
        return f"{event.created_at:%Y-%m-%d %H:%M:%S} UTC"

    @display(description="Details")  # type: ignore[untyped-decorator]
    def told(self, event: AuditEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.data, indent=2, sort_keys=True))
