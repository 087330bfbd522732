"""Deleting what is kept: only by retention and erasure, and never without saying so.

The triggers of ``config.database.protection`` let a DELETE pass only while the transaction names
an entry of its own in the audit log; here is where one is written and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from django.db import transaction

from config.actors import Actor
from config.database.protection import DISPOSAL_SETTING, TRANSACTION
from config.database.statements import run
from config.operations import audit
from config.operations.models import AuditEvent

Reason = Literal["retention", "erasure"]


@contextmanager
def logged(
    reason: Reason, *, by: Actor, tenant_id: str, target: str, data: dict[str, Any]
) -> Iterator[AuditEvent]:
    """Lets the block delete kept rows, in the caller's transaction on the owner's path.

    The entry in the audit log says that ``target`` goes and why, and commits with the deletion
    or not at all.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("what is kept is deleted in the transaction that logs it")
    ((current,),) = run("SELECT pg_current_xact_id()::text", [])
    event = audit.record(
        reason, by=by, tenant_id=tenant_id, target=target, data=data | {TRANSACTION: current}
    )
    run(f"SELECT set_config('{DISPOSAL_SETTING}', %s, true)", [str(event.pk)])
    yield event
    # Not in a finally: after an error the transaction is over, and this setting with it.
    run(f"SELECT set_config('{DISPOSAL_SETTING}', '', true)", [])
