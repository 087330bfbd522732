"""Limited staff reach the database as the role that sees their tenants, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase

from config.tenancy import scope
from config.tenancy.services import staff

ADMIN: Final = "/admin/"
# These write what belongs to no tenant: a session, a password.
_OWN: Final = ("/admin/login/", "/admin/logout/", "/admin/password_change/")


class StaffScope:
    """Puts each admin request of staff who are not superusers into one transaction of theirs.

    What goes wrong in it is undone as a whole. ``request.firebreak_tenants`` holds the ids of
    the tenants that the person sees, None for all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(ADMIN) or not request.user.is_authenticated:
            return self._get_response(request)
        tenants = staff.tenants_of(request.user)
        request.firebreak_tenants = tenants  # type: ignore[attr-defined]
        if tenants is None or request.path.startswith(_OWN):
            return self._get_response(request)
        with scope.staff(tenants):
            response = self._get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            return response
