"""What a key may do: one scope per operation, and none where none is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from config.tenancy.models import ApiKey

if TYPE_CHECKING:
    # That module asks the settings for this one while it is imported.
    from rest_framework.views import APIView

# For an operation that any valid key may do.
ANY_SCOPE: Final = "*"


def required_scope(view: APIView, method: str) -> str | None:
    """The scope that a view declares for a method; None when it declares none.

    A viewset declares ``action_scopes`` by action, another view ``scopes`` by HTTP method. HEAD
    goes by GET, and OPTIONS needs no more than a key.
    """
    if method == "OPTIONS":
        return ANY_SCOPE
    if hasattr(view, "action_scopes"):
        by_action: dict[str, str] = view.action_scopes
        return by_action.get(getattr(view, "action", None) or "")
    by_method: dict[str, str] = getattr(view, "scopes", {})
    return by_method.get("GET" if method == "HEAD" else method)


class HasScope(BasePermission):
    """Denies unless the key carries the scope that the operation declares."""

    code = "insufficient_scope"
    message = "This operation is open to no key."

    def has_permission(self, request: Request, view: APIView) -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            return False
        if request.method not in view.allowed_methods:
            return True  # The view answers 405.
        scope = required_scope(view, request.method or "")
        if scope is None:
            return False
        if scope == ANY_SCOPE or scope in key.scopes:
            return True
        self.message = f"The key does not have the scope {scope}."
        return False
