"""The content security policy of every answer: what a browser may load, and from where.

Nothing, for the API and whatever else is no page. Pages get their own scripts and styles from
this server only; the admin's toolkit evaluates expressions in attributes and sets styles, and
the API's documentation has its script in the page, so those two are let.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

HEADER: Final = "Content-Security-Policy"

_CLOSED: Final = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_PAGE: Final = _CLOSED | {
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
}
_POLICIES: Final = {
    "/admin/": _PAGE | {"script-src": "'self' 'unsafe-eval'", "form-action": "'self'"},
    "/api/docs/": _PAGE | {"script-src": "'self' 'unsafe-inline'"},
}


def _written(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())


_HEADERS: Final = {prefix: _written(policy) for prefix, policy in _POLICIES.items()}
_DEFAULT: Final = _written(_CLOSED)


def policy_of(path: str) -> str:
    """The policy of what is answered at a path."""
    for prefix, policy in _HEADERS.items():
        if path.startswith(prefix):
            return policy
    return _DEFAULT


class ContentSecurityPolicy:
    """Sends the policy with every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        response.headers[HEADER] = policy_of(request.path)
        return response
