"""Logs as JSON, one object a line, on standard error.

Nothing in them is what somebody sent: of an exception, whose message may quote that, only its kind
and where it was raised are told.
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    # The settings import this module.
    from django.http import HttpRequest


def note_tenant(request: HttpRequest, tenant_id: str) -> None:
    """Has what is logged of this request from now on name the tenant."""
    request.firebreak_tenant_id = tenant_id  # type: ignore[attr-defined]
    structlog.contextvars.bind_contextvars(tenant=tenant_id)


def tell_exceptions(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Tells of an exception where it was raised, what it is, and the SQLSTATE of a database."""
    info = event.pop("exc_info", None)
    if isinstance(info, BaseException):
        error: BaseException | None = info
    elif isinstance(info, tuple):
        error = info[1]
    else:
        error = sys.exc_info()[1] if info else None
    told = []
    while error is not None:
        told.append(f"{_kind(error)}\n{_places(error.__traceback__)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if told:
        event["exception"] = "caused by ".join(told)
    return event


def _kind(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return type(error).__qualname__ + (f" {state}" if state else "")


def _places(trace: TracebackType | None) -> str:
    return "".join(traceback.format_tb(trace))


def configuration(level: str) -> dict[str, Any]:
    """Django's LOGGING: what structlog and the standard library log, in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    tell_exceptions,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Its own lines repeat what the request log says.
            "django.server": {"level": "WARNING", "propagate": True},
            "django.request": {"level": "ERROR", "propagate": True},
            # Scanners ask for any host, all day; the request log has the 400.
            "django.security.DisallowedHost": {"level": "CRITICAL", "propagate": True},
        },
    }
