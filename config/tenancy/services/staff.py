"""People of the admin: which tenants they see, and what their roles let them do."""

from __future__ import annotations

from typing import Final, cast

from django.apps import AppConfig
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission
from django.db.models import Q

from config.tenancy.models import StaffTenant

VIEWER: Final = "viewer"
RESPONDER: Final = "responder"
COMPLIANCE: Final = "compliance"
ADMINISTRATOR: Final = "administrator"

# What each role may do, by app: the permissions' code names, ``*`` being any model. Firebreak
# keeps these groups: a permission that is missing comes back with the next migration.
_VIEWER: Final[dict[str, tuple[str, ...]]] = {
    "tenancy": ("view_tenant",),
    "incidents": ("view_*",),
    "lessons": ("view_*",),
    "exports": ("view_*",),
}
ROLES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    VIEWER: _VIEWER,
    RESPONDER: _VIEWER
    | {
        "incidents": ("view_*", "add_incident", "change_incident"),
        "lessons": ("view_*", "add_lesson", "change_lesson"),
    },
    COMPLIANCE: _VIEWER
    | {
        "operations": ("view_auditevent",),
        "exports": ("view_*", "add_bundle", "add_bundlereview"),
    },
    ADMINISTRATOR: {
        "tenancy": ("view_tenant", "change_tenant", "view_apikey", "add_apikey", "change_apikey"),
        "operations": ("view_auditevent",),
        "incidents": ("view_*", "add_*", "change_*", "delete_severitytarget"),
        "lessons": ("view_*", "add_*", "change_*"),
        "exports": ("view_*", "add_*", "change_*"),
    },
}


def tenants_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str] | None:
    """The ids of the tenants that a person sees; None: all of them."""
    if getattr(user, "is_superuser", False):
        return None
    return frozenset(
        StaffTenant.objects.filter(user_id=cast(int, user.pk)).values_list("tenant_id", flat=True)
    )


def keep_roles(app: AppConfig) -> None:
    """Gives the roles their permissions in an app whose permissions Django has made."""
    for role, granted in ROLES.items():
        names = granted.get(app.label)
        if names is None:
            continue
        wanted = Q()
        for name in names:
            wanted |= (
                Q(codename__startswith=name.removesuffix("*"))
                if name.endswith("*")
                else Q(codename=name)
            )
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.add(*Permission.objects.filter(wanted, content_type__app_label=app.label))
