"""One line of log and one measurement for every request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from django.http import HttpRequest, HttpResponseBase

from config import clock
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
