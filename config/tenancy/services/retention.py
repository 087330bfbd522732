"""Which tenants let go of what, and from when; the apps that own the rows delete them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant

BY: Final = Actor(via="housekeeping")
# A round of housekeeping has more to do than this; the next one goes on.
BUDGET_SECONDS: Final = 10.0


def cutoffs(column: str) -> list[tuple[str, datetime]]:
    """The tenants that keep something for a time, and before when it is old.

    ``column`` is one of ``RETENTIONS``. By full hours, so that there is not a little to do at
    every moment.
    """
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    kept = Tenant.objects.filter(**{f"{column}__isnull": False}).order_by("pk")
    return [(id_, hour - timedelta(days=days)) for id_, days in kept.values_list("pk", column)]


class Budget:
    """The time that a task has in one round."""

    def __init__(self) -> None:
        self._until = time.monotonic() + BUDGET_SECONDS

    def is_spent(self) -> bool:
        """Whether the rest has to wait for the next round."""
        return time.monotonic() >= self._until


def in_steps(column: str, retire: Callable[[str, datetime], int], *, step: int) -> int:
    """Retires what tenants keep no longer, until there is none or time is up; how many went.

    ``column`` is one of ``RETENTIONS``. ``retire`` deletes at most ``step`` rows of a tenant that
    are from before a time, in a transaction of its own, and says how many there were.
    """
    budget = Budget()
    retired = 0
    for tenant_id, before in cutoffs(column):
        count = step
        while count == step and not budget.is_spent():
            with transaction.atomic():
                count = retire(tenant_id, before)
            retired += count
    return retired
