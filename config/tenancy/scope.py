"""Transactions that see one tenant: the way every request and every report reaches the database.

Inside, the connection has the lesser role of ``config.database.isolation`` and the tenant's name,
both for this transaction only, so that nothing is left behind on a persistent connection or at a
pooler.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from config.database import isolation
from config.database.statements import run

_ENTER: Final = (
    f"SELECT set_config('{isolation.TENANT_SETTING}', %s, true), "
    f"set_config('role', '{isolation.TENANT_ROLE}', true)"
)
_LEAVE: Final = (
    f"SELECT set_config('role', 'none', true), set_config('{isolation.TENANT_SETTING}', '', true)"
)


@contextmanager
def tenant(tenant_id: str, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """One transaction (a savepoint, inside another) that sees only this tenant's rows.

    Within a scope of the same tenant it is a plain savepoint; another tenant's scope cannot be
    entered there. Inside a transaction of the owner's path, that path is taken up again
    afterwards.
    """
    connection: Any = connections[using]
    entered: str | None = getattr(connection, "firebreak_tenant", None)
    if entered is not None:
        if entered != tenant_id:
            raise RuntimeError("a transaction sees one tenant")
        with transaction.atomic(using=using):
            yield
        return
    nested = connection.in_atomic_block
    with transaction.atomic(using=using):
        run(_ENTER, [tenant_id], using=using)
        connection.firebreak_tenant = tenant_id
        try:
            yield
        except BaseException:
            connection.firebreak_tenant = None
            raise
        connection.firebreak_tenant = None
        if nested:
            run(_LEAVE, [], using=using)
