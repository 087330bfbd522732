"""Transactions that see one tenant, or a few: the way to the database of all but its owner.

Inside, the connection has a lesser role of ``config.database.isolation`` and the tenants' names,
both for this transaction only, so that nothing is left behind on a persistent connection or at a
pooler. Every request and every report sees one tenant; limited staff in the admin see theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from config.database import isolation, patience, routing
from config.database.statements import Statement, run, run_together

_ENTER: Final = (
    f"SELECT set_config('{isolation.TENANT_SETTING}', %s, true), "
    f"set_config('role', '{isolation.TENANT_ROLE}', true)"
)
# For plans that are the same whoever the tenant and whatever the time. Left alone, the planner
# would make those of readings anew each time, which takes longer than to read; and it takes a
# tenant that its statistics do not know yet for one without rows, to whose few any index leads.
_PLANNING_ONCE: Final = ", set_config('plan_cache_mode', 'force_generic_plan', true)"
# Not to be awaited by its commit: whoever says so sees to it that it gets to disk.
_LATER: Final = ", set_config('synchronous_commit', 'off', true)"
_ENTER_STAFF: Final = (
    f"SELECT set_config('{isolation.TENANTS_SETTING}', %s, true), "
    f"set_config('role', '{isolation.STAFF_ROLE}', true)"
)
_LEAVE: Final = (
    f"SELECT set_config('role', 'none', true), set_config('{isolation.TENANT_SETTING}', '', true), "
    f"set_config('{isolation.TENANTS_SETTING}', '', true), "
    "set_config('plan_cache_mode', 'auto', true)"
)


@contextmanager
def tenant(
    tenant_id: str,
    *,
    plan_once: bool = False,
    durable: bool = True,
    asking: Statement | None = None,
    using: str | None = None,
) -> Iterator[list[Any]]:
    """One transaction (a savepoint, inside another) that sees only this tenant's rows.

    Within a scope of the same tenant, or of staff who see it, it is a plain savepoint; another
    tenant's scope cannot be entered there. Inside a transaction of the owner's path, that path
    is taken up again afterwards. To ``plan_once`` is for reports and for readings: prepared
    statements are then planned for no tenant and no values in particular. One that is not
    ``durable`` is committed without waiting for the disk, unless it is inside another. The block
    is given the rows of what it begins with ``asking``, which goes to the database together with
    its entering.
    """
    using = using or routing.current()
    # A setting made inside another transaction would last to the end of that one.
    durable = durable or connections[using].in_atomic_block
    enter = f"{_ENTER}{_PLANNING_ONCE * plan_once}{_LATER * (not durable)}"
    with _scope(enter, frozenset({tenant_id}), using=using, asking=asking) as rows:
        yield rows


@contextmanager
def staff(tenant_ids: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """One transaction that sees only the rows of these tenants, which may be none."""
    with _scope(_ENTER_STAFF, frozenset(tenant_ids), using=using):
        yield


@contextmanager
def everything(*, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """One transaction of the owner's path, which sees every tenant."""
    with transaction.atomic(using=using):
        limits = patience.limits()
        if limits is not None:
            run(f"SELECT {patience.SET}", limits, using=using)
        yield


@contextmanager
def _scope(
    enter: str, tenants: frozenset[str], *, using: str, asking: Statement | None = None
) -> Iterator[list[Any]]:
    connection: Any = connections[using]
    entered: frozenset[str] | None = getattr(connection, "firebreak_tenants", None)
    if entered is not None:
        if not tenants <= entered:
            raise RuntimeError("a transaction sees the tenants that it began with")
        with transaction.atomic(using=using):
            yield run(*asking, using=using) if asking else []
        return
    nested = connection.in_atomic_block
    with transaction.atomic(using=using):
        entering: Statement = (enter, [",".join(sorted(tenants))])
        if (limits := patience.limits()) is not None:
            # In one, because every request would pay for one more statement.
            entering = (f"{enter}, {patience.SET}", [*entering[1], *limits])
        rows = []
        if asking is None:
            run(*entering, using=using)
        else:
            _, rows = run_together([entering, asking], using=using)
        connection.firebreak_tenants = tenants
        try:
            yield rows
        except BaseException:
            connection.firebreak_tenants = None
            raise
        connection.firebreak_tenants = None
        if nested:
            run(_LEAVE, [], using=using)
