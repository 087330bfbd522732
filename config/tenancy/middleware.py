"""The admin's way to the database: limited staff as the role that sees their tenants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from config.tenancy import scope
from config.tenancy.services import staff

_log = structlog.get_logger("firebreak.admin")

ADMIN: Final = "/admin/"
# These write what belongs to no tenant: a session, a password.
_OWN: Final = ("/admin/login/", "/admin/logout/", "/admin/password_change/")


class StaffScope:
    """Puts each admin request into one transaction, for all but superusers one of their tenants.

    What goes wrong in it is undone as a whole. ``request.firebreak_tenants`` holds the ids of
    the tenants that the person sees, None for all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(ADMIN):
            return self._get_response(request)
        try:
            return self._answer(request)
        except (OperationalError, InterfaceError) as error:
            return _unavailable(error)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        if request.path.startswith(ADMIN) and isinstance(
            exception, (OperationalError, InterfaceError)
        ):
            return _unavailable(exception)
        return None

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self._get_response(request)
        tenants = staff.tenants_of(request.user)
        request.firebreak_tenants = tenants  # type: ignore[attr-defined]
        if request.path.startswith(_OWN):
            return self._get_response(request)
        with scope.everything() if tenants is None else scope.staff(tenants):
            response = self._get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            return response


def _unavailable(error: Exception) -> HttpResponse:
    """A lost connection, a deadlock, a timeout: nothing was kept, and a repeat may succeed."""
    _log.error("database unavailable", error=str(error))
    return HttpResponse(
        "The database cannot answer now. Nothing was changed: go back and try again.",
        status=503,
        content_type="text/plain; charset=utf-8",
        headers={"Retry-After": "1"},
    )
