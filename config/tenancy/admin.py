"""Tenants, keys, and the people who look after them, in the admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet, prefetch_related_objects
from django.forms.models import model_to_dict
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from config import clock
from config.backstage import LabelledTabularInline, TenantModelAdmin, actor, tenants
from config.operations import audit
from config.tenancy.enums import Scope
from config.tenancy.models import AGGREGATION_RANGES, RETENTIONS, ApiKey, StaffTenant, Tenant
from config.tenancy.services import keys


@admin.register(Tenant)
class TenantAdmin(TenantModelAdmin):
    """Tenants and their overrides of the aggregation facts; rows of theirs outlive any wish."""

    tenant_lookup = "pk"
    list_display = ["id", "name", "overrides", "created_at"]
    search_fields = ["id", "name"]
    search_help_text = "Id or name"
    sortable_by: ClassVar[list[str]] = []
    empty_words = "The first report or key of a tenant makes it, or the button above."
    add_words = "Add a tenant"
    fieldsets = [
        (None, {"fields": ["id", "name", "created_at"]}),
        (
            "Aggregation",
            {
                "description": "Empty means the default. A change binds what is received after it.",
                "fields": list(AGGREGATION_RANGES),
            },
        ),
        (
            "Limits",
            {
                "description": "Requests a minute, over all workers. Empty means no limit.",
                "fields": ["ingest_per_minute", "read_per_minute"],
            },
        ),
        (
            "Retention",
            {
                "description": "Days, after which housekeeping deletes for good; the audit log "
                "says what went. Empty means for ever.",
                "fields": list(RETENTIONS),
            },
        ),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        return ["created_at"] if obj is None else ["id", "created_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return False

    @display(description="Overrides")  # type: ignore[untyped-decorator]
    def overrides(self, tenant: Tenant) -> str:
        names = [name for name in AGGREGATION_RANGES if getattr(tenant, name) is not None]
        shown = [f"{name.replace('_', ' ')} {getattr(tenant, name):,}" for name in names]
        return ", ".join(shown) or "none"

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            changes = {
                name: {"from": form.initial.get(name), "to": form.cleaned_data[name]}
                for name in form.changed_data
            }
            if changes:
                audit.record(
                    "tenant settings changed" if change else "tenant created",
                    by=actor(request),
                    tenant_id=obj.pk,
                    target=f"tenant {obj.pk}",
                    data=changes,
                )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_formset(request, form, formset, change)
            saved = [*formset.new_objects, *(one for one, _ in formset.changed_objects)]
            if saved or formset.deleted_objects:
                audit.record(
                    "tenant settings changed",
                    by=actor(request),
                    tenant_id=form.instance.pk,
                    target=str(formset.model._meta.verbose_name_plural),
                    data={
                        "saved": [_written(one) for one in saved],
                        "deleted": [_written(one) for one in formset.deleted_objects],
                    },
                )


def _written(row: Model) -> dict[str, Any]:
    return {name: value for name, value in model_to_dict(row).items() if name != "id"}


class IssueKeyForm(forms.ModelForm):
    """What a new key is made from; the key itself is made by the service."""

    tenant = forms.ModelChoiceField(Tenant.objects.all(), widget=UnfoldAdminSelectWidget())
    name = forms.CharField(
        max_length=keys.MAX_NAME,
        widget=UnfoldAdminTextInputWidget(),
        help_text="What the key is for; the timeline shows it.",
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget()
    )
    expires_in_days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=keys.MAX_EXPIRES_IN_DAYS,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Empty: never.",
    )

    class Meta:
        model = ApiKey
        fields = ["tenant", "name", "scopes"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError("Only printable characters.")
        return name


@admin.register(ApiKey)
class ApiKeyAdmin(TenantModelAdmin):
    """Keys: issued and revoked, never edited or deleted; the digest is not shown anywhere."""

    list_display = ["prefix", "name", "tenant", "allows", "state", "expires", "last_used"]
    list_filter = ["tenant"]
    sortable_by: ClassVar[list[str]] = []
    change_form_outer_before_template = "tenancy/admin/revoke.html"
    empty_words = "Nobody can call the API before a key is made."
    add_words = "Make a key"
    list_select_related = ["tenant"]
    search_fields = ["prefix", "name", "tenant__id"]
    search_help_text = "Prefix, name or tenant"
    actions = ["revoke"]
    _shown = (
        "prefix",
        "name",
        "tenant",
        "state",
        "allows",
        "created_at",
        "expires",
        "revoked_at",
        "last_used",
    )

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(self.revoke_view)
        return [
            path("<uuid:object_id>/revoke/", revoke, name="tenancy_apikey_revoke"),
            *super().get_urls(),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return () if obj is None else self._shown

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        once = {"show_save_and_continue": False, "show_save_and_add_another": False}
        answer: HttpResponse = super().add_view(request, form_url, once | (extra_context or {}))
        return answer

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        revocable = key is not None and key.revoked_at is None
        context = {"revocable": revocable and self.has_revoke_permission(request)}
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, context | (extra_context or {})
        )
        return answer

    def revoke_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Revokes one key, from its page."""
        key = self.get_object(request, str(object_id))
        if key is None:
            raise Http404("No such key.")
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self.revoke(request, ApiKey.objects.filter(pk=key.pk))
        return HttpResponseRedirect(reverse("admin:tenancy_apikey_change", args=[key.pk]))

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ["tenant", "name", "scopes", "expires_in_days"]
        return self._shown

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        seen = tenants(request)

        class Form(IssueKeyForm):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.fields["tenant"].queryset = seen  # type: ignore[attr-defined]

        return Form

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may change keys by Django's permissions may revoke; nothing else changes one."""
        return bool(super().has_change_permission(request))

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: IssueKeyForm, change: bool
    ) -> None:
        key, plaintext = keys.issue(
            by=actor(request),
            tenant_id=form.cleaned_data["tenant"].pk,
            name=form.cleaned_data["name"],
            scopes=form.cleaned_data["scopes"],
            expires_in_days=form.cleaned_data["expires_in_days"],
        )
        # The admin goes on with the object that its form made: it becomes the one that was saved.
        obj.__dict__.update(key.__dict__)
        self.message_user(
            request,
            f"Copy the key now, it is not shown again: {plaintext}",
            level=messages.WARNING,
        )

    @display(  # type: ignore[untyped-decorator]
        description="State", label={"active": "success", "expired": "warning", "revoked": "danger"}
    )
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "active" if key.is_usable(at=clock.now()) else "expired"

    @display(description="Scopes")  # type: ignore[untyped-decorator]
    def allows(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="Expires")  # type: ignore[untyped-decorator]
    def expires(self, key: ApiKey) -> str:
        return _moment(key.expires_at)

    @display(description="Last used")  # type: ignore[untyped-decorator]
    def last_used(self, key: ApiKey) -> str:
        return _moment(key.last_used_at)

    @action(  # type: ignore[untyped-decorator]
        description="Revoke the selected keys", permissions=["revoke"]
    )
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = [keys.revoke(by=actor(request), prefix=key.prefix) for key in queryset]
        self.message_user(request, f"Revoked: {', '.join(key.prefix for key in revoked)}.")


def _moment(at: datetime | None) -> str:
    return "never" if at is None else date_format(at, "DATETIME_FORMAT")


class TenantInline(LabelledTabularInline):
    """The tenants that a person sees; a superuser sees all without any."""

    model = StaffTenant
    extra = 1


class SuperuserOnly:
    """Who may make people and roles may become anybody: that is for superusers alone."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(SuperuserOnly, PlainUserAdmin, ModelAdmin):
    """People: their roles, and the tenants that they see."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = [TenantInline]
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    # What a person may do comes from roles alone.
    fieldsets = (
        (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    list_display = ["username", "roles", "sees", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser", "groups"]
    sortable_by: ClassVar[list[str]] = []
    add_words = "Add a person"

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        kwargs.setdefault("widget", UnfoldAdminCheckboxSelectMultipleWidget())
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None:
            field.label, field.help_text = "Roles", "Each lets a person do what it is for."
        return field

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        found: QuerySet[User] = super().get_queryset(request)
        return found.prefetch_related("groups", "staff_tenants")

    @display(description="Roles")  # type: ignore[untyped-decorator]
    def roles(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all()))

    @display(description="Tenants")  # type: ignore[untyped-decorator]
    def sees(self, user: User) -> str:
        if user.is_superuser:
            return "all"
        return ", ".join(one.tenant_id for one in user.staff_tenants.all())  # type: ignore[attr-defined]


@admin.register(Group)
class GroupAdmin(SuperuserOnly, PlainGroupAdmin, ModelAdmin):
    """Roles. Four are Firebreak's own, whose permissions come back with every migration."""

    sortable_by: ClassVar[list[str]] = []
    filter_horizontal = ()
    add_words = "Add a role"
    search_help_text = "Name"

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[Any], list[Any]]:
        """Who loses each role, and not each of its permissions."""
        roles = list(objs)
        prefetch_related_objects(roles, "user_set")
        people = {role: sorted(one.get_username() for one in role.user_set.all()) for role in roles}
        listed = [
            f"{role}, which {', '.join(names)} will lose" if names else f"{role}, which nobody has"
            for role, names in people.items()
        ]
        summary = {"roles": len(roles), "people without it": len(set().union(*people.values()))}
        allowed = self.has_delete_permission(request)
        return listed, summary, set() if allowed else {self.opts.verbose_name}, []

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        kwargs.setdefault("widget", forms.SelectMultiple({"size": 20}))
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and field.queryset is not None:
            ours = ("tenancy", "operations", "incidents", "lessons", "exports")
            field.queryset = field.queryset.filter(content_type__app_label__in=ours)
        return field
