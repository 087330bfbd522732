"""The audit log: keys, logins, exports, changes of rules, retention and erasure."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import signals

from config.actors import Actor
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


def watch_logins() -> None:
    """From now on every login, logout and failed login is in the audit log."""
    signals.user_logged_in.connect(_logged_in, dispatch_uid="audit_logged_in")
    signals.user_logged_out.connect(_logged_out, dispatch_uid="audit_logged_out")
    signals.user_login_failed.connect(_login_failed, dispatch_uid="audit_login_failed")


def _logged_in(sender: Any, user: Any, **_: Any) -> None:
    record("login", by=Actor(via="admin", name=user.get_username()))


def _logged_out(sender: Any, user: Any, **_: Any) -> None:
    if user is not None:
        record("logout", by=Actor(via="admin", name=user.get_username()))


def _login_failed(sender: Any, credentials: dict[str, Any], **_: Any) -> None:
    name = str(credentials.get("username", ""))[:150].replace("\0", "")
    record("login failed", by=Actor(via="admin", name=name))
