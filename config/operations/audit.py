"""The audit log: keys, logins, exports, changes of rules, retention and erasure."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import signals

from config.actors import Actor
from config.operations.addresses import client_address
from config.operations.models import AuditEvent


def record(
    action: str,
    *,
    by: Actor,
    tenant_id: str | None = None,
    target: str = "",
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Writes an entry in the caller's transaction; ``action`` is a verb phrase such as
    ``key issued``, ``target`` what it was done to. Never put a secret into ``data``.
    """
    return AuditEvent.objects.create(
        action=action,
        tenant_id=tenant_id,
        target=target,
        actor=by.name,
        via=by.via,
        data=data or {},
    )


def typed(name: str) -> str:
    """A name as somebody typed it, fit to be stored."""
    return name.replace("\0", "")[:150]


def watch_logins() -> None:
    """From now on every login, logout and failed login is in the audit log."""
    signals.user_logged_in.connect(_logged_in, dispatch_uid="audit_logged_in")
    signals.user_logged_out.connect(_logged_out, dispatch_uid="audit_logged_out")
    signals.user_login_failed.connect(_login_failed, dispatch_uid="audit_login_failed")


def _logged_in(sender: Any, request: Any, user: Any, **_: Any) -> None:
    _note("login", user.get_username(), request)


def _logged_out(sender: Any, request: Any, user: Any, **_: Any) -> None:
    if user is not None:
        _note("logout", user.get_username(), request)


def _login_failed(sender: Any, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    _note("login failed", typed(str(credentials.get("username", ""))), request)


def _note(action: str, name: str, request: Any) -> None:
    address = None if request is None else client_address(request)
    record(action, by=Actor(via="admin", name=name), data={"address": address})
