"""What a batch costs grows with its reports, not with their square, whatever was planned."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection

from config import clock
from config.tenancy import scope
from incidents.models import Run
from incidents.services.aggregation import linking
from tests.factories.reading import incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


def test_runs_are_counted_without_a_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan made for any batch takes it for ten reports, and would join ten to ten by looking at
    each pair."""
    tenant = TenantFactory.create()
    linked = incident(tenant)
    execute = psycopg.Cursor.execute
    plans: list[str] = []

    def explained(self: Any, query: Any, parameters: Any = None, **options: Any) -> Any:
        if "SET incident_count" in query:
            with psycopg.Cursor(connection.connection) as cursor:
                execute(cursor, "SET LOCAL plan_cache_mode = force_generic_plan")
                execute(cursor, f"EXPLAIN {query}", parameters, prepare=True)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(self, query, parameters, **options)

    names = [f"run-{number}" for number in range(50)]
    with scope.tenant(tenant.pk), monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", explained)
        linking.write_runs(
            tenant.pk,
            dict.fromkeys(names),
            {(name, linked.pk) for name in names},
            set(),
            at=clock.now(),
        )
    (plan,) = plans
    assert "Conflict Arbiter Indexes: run_identity" in plan
    assert "Join" not in plan
    assert "Nested Loop" not in plan
    assert set(Run.objects.values_list("run_id", "incident_count")) == {(name, 1) for name in names}
