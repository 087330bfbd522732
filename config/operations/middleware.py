"""What every request goes through: a line of log, a measurement; and logins a throttle."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from config import clock
from config.database import patience
from config.operations import logins
from config.operations.addresses import client_address
from config.operations.metrics import REQUEST_SECONDS

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger("firebreak.request")


class RequestLog:
    """Gives every request an id (``X-Request-ID``, kept when the caller sends a sane one).

    What is logged is the route, never the body or a header; the tenant is that of the key.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        presented = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = presented if _REQUEST_ID.fullmatch(presented) else clock.uuid7().hex
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            with patience.of_a_request():
                response = self._get_response(request)
        finally:
            structlog.contextvars.clear_contextvars()
        seconds = time.perf_counter() - started
        match: Any = request.resolver_match
        route = match.route if match else "unmatched"
        REQUEST_SECONDS.labels(request.method, route, str(response.status_code)).observe(seconds)
        response.headers["X-Request-ID"] = request_id
        _log.info(
            "request",
            request_id=request_id,
            method=request.method,
            route=route,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
            tenant=getattr(request, "firebreak_tenant_id", None),
        )
        return response


class LoginThrottle:
    """Answers 429 to a login that comes after too many (see ``config.operations.logins``)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if hasattr(request, "firebreak_login") and request.user.is_authenticated:
            logins.succeeded(**request.firebreak_login)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name != "admin:login":
            return None
        attempted = {
            "name": request.POST.get("username", ""),
            "address": client_address(request),
        }
        seconds = logins.attempt(**attempted)
        if seconds is None:
            request.firebreak_login = attempted  # type: ignore[attr-defined]
            return None
        return HttpResponse(
            f"Too many attempts to log in. Try again in {seconds} s.",
            status=429,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": str(seconds)},
        )
