"""Signing keys in the admin: public halves, which belong to no tenant."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from exports.models import SigningKey
from exports.services import keys


@admin.register(SigningKey)
class SigningKeyAdmin(ModelAdmin):
    """Keys to be looked at and copied; the command rotate_signing_key makes and retires them."""

    list_display = ["key_id", "created_at", "retired_at"]
    sortable_by: ClassVar[list[str]] = []
    fields = ["key_id", "fingerprint", "public_key", "created_at", "retired_at"]
    readonly_fields = fields
    change_form_before_template = "incidents/admin/read_only.html"
    empty_words = "The first export makes one, if none is configured."

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Public key (PEM)")  # type: ignore[untyped-decorator]
    def public_key(self, key: SigningKey) -> SafeString:
        return format_html('<pre class="fb-pem">{}</pre>', key.public_pem)

    @display(description="Fingerprint (SHA-256)")  # type: ignore[untyped-decorator]
    def fingerprint(self, key: SigningKey) -> str:
        return keys.fingerprint(keys.parse_public(key.public_pem))
