"""Refusals as RFC 9457 problem details: the one map from kinds of errors to status codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.http.response import HttpResponsePermanentRedirect
from django.urls import Resolver404, resolve
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from config import errors
from config.api import renderers, strictjson
from config.errors import FieldError, FirebreakError, Invalid

_log = structlog.get_logger("firebreak.api")

MEDIA_TYPE: Final = "application/problem+json"
API_PREFIX: Final = "/api/"
_NOT_WELL_FORMED: Final = "The request is not well formed."

# The first kind that an error is an instance of decides.
_STATUS: Final[tuple[tuple[type[FirebreakError], int], ...]] = (
    (errors.Invalid, 400),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.TooLarge, 413),
    (errors.UnsupportedMediaType, 415),
    (errors.RateLimited, 429),
    (errors.Unavailable, 503),
)


def status_of(error: FirebreakError) -> int:
    """The HTTP status code of an error's kind."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def problem(
    status: int, *, code: str, detail: str, field_errors: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """The members of a problem document; ``errors`` only when there are any."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if field_errors:
        document["errors"] = [
            {"pointer": error.pointer, "detail": error.detail} for error in field_errors
        ]
    return document


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to what a view raised; None, so that it is raised on, when it was not meant."""
    if isinstance(exc, Http404):
        exc = errors.NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = errors.Forbidden()
    elif isinstance(exc, (SuspiciousOperation, BadRequest)):
        exc = Invalid(detail=_NOT_WELL_FORMED)
    elif isinstance(exc, (OperationalError, InterfaceError)):
        # Lost connections, deadlocks, timeouts: nothing was kept, and a repeat may succeed.
        _log.error("database unavailable", error=str(exc))
        exc = errors.Unavailable()
    if isinstance(exc, FirebreakError):
        headers = {}
        if isinstance(exc, errors.RateLimited):
            headers["Retry-After"] = str(exc.retry_after)
        elif isinstance(exc, errors.Unavailable):
            headers["Retry-After"] = "1"
        return _response(_of_firebreak(exc), headers=headers)
    if isinstance(exc, exceptions.ValidationError):
        return _response(_of_firebreak(invalid(exc)))
    if isinstance(exc, exceptions.APIException):
        return _response(_of_framework(exc), headers=_headers(exc, context))
    return None


def invalid(error: exceptions.ValidationError) -> Invalid:
    """A validation error of the framework as Invalid: its first messages by their JSON pointers."""
    return Invalid(list(islice(_flatten(error.detail, ()), strictjson.MAX_ERRORS)))


def _flatten(detail: Any, place: tuple[str | int, ...]) -> Iterator[FieldError]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            inside = place if name == "non_field_errors" else (*place, name)
            yield from _flatten(inner, inside)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_item = isinstance(inner, (dict, list))
            yield from _flatten(inner, (*place, index) if is_item else place)
    else:
        yield FieldError(strictjson.pointer(*place), str(detail))


def _of_firebreak(error: FirebreakError) -> dict[str, Any]:
    return problem(
        status_of(error),
        code=error.code,
        detail=error.detail,
        field_errors=error.errors if isinstance(error, Invalid) else (),
    )


# The framework's own codes, where ours are named differently.
_CODES: Final = {
    "permission_denied": "forbidden",
    "parse_error": "invalid",
    "authentication_failed": "invalid_key",
}


def _of_framework(error: exceptions.APIException) -> dict[str, Any]:
    code = getattr(error.detail, "code", None) or error.default_code
    return problem(error.status_code, code=_CODES.get(code, code), detail=str(error.detail))


def _headers(error: exceptions.APIException, context: dict[str, Any]) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if isinstance(error, exceptions.MethodNotAllowed) and (view := context.get("view")):
        headers["Allow"] = ", ".join(view.allowed_methods)
    return headers


def _response(document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(document, status=document["status"], headers=headers, content_type=MEDIA_TYPE)


def _plain_response(status: int, code: str, detail: str) -> HttpResponse:
    body = renderers.encode(problem(status, code=code, detail=detail))
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE)


def _is_for_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


def unknown_address(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """The answer under /api/ where no other address matches: 404, whatever the method.

    Reading an address that only lacks its final slash is sent there.
    """
    if request.method in ("GET", "HEAD") and not request.path.endswith("/"):
        try:
            match = resolve(f"{request.path_info}/")
        except Resolver404:
            match = None
        if match is not None and match.func is not unknown_address:
            return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
    return _plain_response(404, "not_found", "There is nothing at this address.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400: what Django itself refuses before a view is reached."""
    if not _is_for_api(request):
        return defaults.bad_request(request, exception)
    return _plain_response(400, "invalid", _NOT_WELL_FORMED)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler403."""
    if not _is_for_api(request):
        return defaults.permission_denied(request, exception)
    return _plain_response(403, errors.Forbidden.code, errors.Forbidden.detail)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404."""
    if not _is_for_api(request):
        return defaults.page_not_found(request, exception)
    return unknown_address(request)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """handler500: the exception itself is in the log."""
    if not _is_for_api(request):
        return defaults.server_error(request)
    return _plain_response(500, "internal_error", "Something went wrong on our side.")
