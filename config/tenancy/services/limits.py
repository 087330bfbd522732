"""Limits on how often a tenant may ask, the same over all workers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from config import clock
from config.database.statements import run
from config.errors import RateLimited
from config.tenancy.models import RequestCount, Tenant

Kind = Literal["ingest", "read"]

_COUNT: Final = """
INSERT INTO tenancy_requestcount AS c (tenant_id, kind, minute, count) VALUES (%s, %s, %s, 1)
ON CONFLICT (tenant_id, kind, minute) DO UPDATE SET count = c.count + 1
RETURNING count
"""


def check(*, tenant: Tenant, kind: Kind) -> None:
    """Counts a request; RateLimited when it is over the tenant's limit for this minute.

    A tenant without a limit costs nothing here. Minutes are those of the clock, so that twice
    the limit may pass around the turn of one.
    """
    limit: int | None = getattr(tenant, f"{kind}_per_minute")
    if limit is None:
        return
    now = clock.now()
    minute = now.replace(second=0, microsecond=0)
    ((count,),) = run(_COUNT, [tenant.pk, kind, minute])
    if count > limit:
        raise RateLimited(limit=limit, retry_after=60 - now.second)


def purge() -> int:
    """Deletes the counts of minutes that are over; how many there were."""
    deleted, _ = RequestCount.objects.filter(minute__lt=clock.now() - timedelta(hours=1)).delete()
    return deleted
