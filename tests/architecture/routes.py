"""Every route and method that Firebreak answers, found by walking its URLconf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver


class Route(NamedTuple):
    """An address as it is declared, and the view behind it."""

    address: str
    view: Any

    @property
    def actions(self) -> dict[str, str]:
        """By HTTP method in lower case, the actions of a viewset; of other views none are known."""
        return getattr(self.view, "actions", None) or {}


def walk(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[Route]:
    if patterns is None:
        patterns = get_resolver("config.urls").url_patterns
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield Route(address, pattern.callback)


ROUTES = list(walk())
OPERATIONS = {
    f"{method.upper()} {route.address}": (route.view.cls, action)
    for route in ROUTES
    for method, action in route.actions.items()
}
ADMIN = [route for route in ROUTES if route.address.startswith("admin/")]
# Everybody may read these, and there is nothing of a tenant in them.
PUBLIC = {
    "healthz",
    "readyz",
    "metrics",
    "api/schema/",
    "api/docs/",
    "^api/",  # the refusal of an unknown address
}


def registered() -> dict[str, Any]:
    """The models of the admin by the beginning of their addresses there."""
    return {
        f"admin/{model._meta.app_label}/{model._meta.model_name}/": model
        for model in admin.site._registry
    }
