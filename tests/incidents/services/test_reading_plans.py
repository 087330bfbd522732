"""By the role that sees one tenant, readings are answered by the indexes that are meant for them.

Security that goes by rows keeps a condition that might leak from an index, so that a plan made
for the owner of the tables shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from config import clock
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.services import metrics, patterns, postmortem, recurrence
from tests.factories.reading import NOW, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    tenant: Tenant = TenantFactory.create()
    with clock.pretend(NOW):
        for number in range(4):
            incident(
                tenant,
                category="c",
                error_code="E",
                signature="v1:x",
                acknowledged_after=timedelta(minutes=1),
                resolved_after=timedelta(minutes=number),
                runs=("run-1",),
            )
        yield tenant


@contextmanager
def plans_of(
    monkeypatch: pytest.MonkeyPatch, tenant: Tenant, *, without: str
) -> Iterator[list[str]]:
    """The plans, as of a large table, of what is run meanwhile by the tenant's role.

    Of a few rows any index would do, and which is chosen is chance: ``without`` drops some.
    """
    plans: list[str] = []
    execute = psycopg.Cursor.execute

    def explained(self: Any, query: Any, parameters: Any = None, **options: Any) -> Any:
        if "set_config" not in query:
            with psycopg.Cursor(connection.connection) as cursor:
                execute(cursor, f"EXPLAIN {query}", parameters, prepare=False)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(self, query, parameters, **options)

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"DROP INDEX {without}")
    with scope.tenant(tenant.pk):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        with monkeypatch.context() as patched:
            patched.setattr(psycopg.Cursor, "execute", explained)
            yield plans


def conditions(plan: str, index: str) -> list[str]:
    """What an index is asked, each time that a plan asks it."""
    lines = plan.splitlines()
    return [
        lines[place + 1].strip()
        for place, line in enumerate(lines)
        if f"using {index} " in line and "Index Cond" in lines[place + 1]
    ]


@pytest.mark.parametrize(
    "read",
    [
        lambda tenant: recurrence.of_tenant(tenant=tenant, baseline_days=30, threshold=3, limit=20),
        lambda tenant: patterns.detect(tenant=tenant, window_hours=168),
        lambda tenant: postmortem.of_category(tenant=tenant, category="c"),
    ],
    ids=["recurrence", "clusters", "learnings of a category"],
)
def test_incidents_behind_a_category_come_from_their_index(
    read: Callable[[Tenant], Any], tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = "incident_started, incident_created, incident_resolve_time"
    with plans_of(monkeypatch, tenant, without=others) as plans:
        read(tenant)
    asked = [one for plan in plans for one in conditions(plan, "incident_category")]
    assert [one for one in asked if one.count("CASE WHEN") == 2]


def test_runs_of_an_incident_come_from_the_index_alone(tenant: Tenant) -> None:
    for number in range(50):
        incident(tenant, runs=(f"run-{number}-a", f"run-{number}-b"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE incidents_incidentrun")
    with scope.tenant(tenant.pk), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(
            "EXPLAIN SELECT run_id FROM incidents_incidentrun WHERE incident_id = %s",
            [clock.uuid7()],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Only Scan using link_runs" in plan


def test_times_of_the_day_that_a_window_cuts_come_from_the_index_alone(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plans_of(monkeypatch, tenant, without="incident_created") as plans:
        metrics.of_window(tenant=tenant, window_days=30)
    assert [plan for plan in plans if "Index Only Scan using incident_started" in plan]
