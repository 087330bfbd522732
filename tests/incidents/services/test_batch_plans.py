"""What a batch costs grows with its reports, not with their square: whatever the planner guesses.

A plan for any batch takes it for ten reports. And where statistics are complete, a tenant they do
not know has next to no rows, so that any index with the tenant first would do.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.database import planner
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.models import Alert as StoredAlert
from incidents.models import Incident, Run
from incidents.services import aggregation
from incidents.services.reports import Alert
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 300


@contextmanager
def plans_of(monkeypatch: pytest.MonkeyPatch, part: str) -> Iterator[list[str]]:
    """How statements with this part, run meanwhile, are planned whatever their values."""
    plain = psycopg.Cursor.execute
    plans: list[str] = []

    def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if part in query:
            numbers = itertools.count(1)
            text = re.sub("%s", lambda _: f"${next(numbers)}", query)
            nothing = ", ".join(["NULL"] * (next(numbers) - 1))
            with psycopg.Cursor(connection.connection) as cursor:
                plain(cursor, f"PREPARE explained AS {text}")
                plain(cursor, f"EXPLAIN EXECUTE explained ({nothing})")
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
                plain(cursor, "DEALLOCATE explained")
        return plain(self, query, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", execute)
        yield plans


@pytest.fixture
def known() -> Tenant:
    """A tenant that the statistics know, and no other."""
    tenant: Tenant = TenantFactory.create(incidents_per_hour=10_000)
    aggregation.absorb(tenant=tenant, alerts=alerts("known"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE incidents_incident, incidents_alert, incidents_run")
    return tenant


@pytest.fixture
def unknown(known: Tenant, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A tenant that came after them, with as many incidents."""
    monkeypatch.setattr(planner, "inform", lambda: None)
    tenant: Tenant = TenantFactory.create(incidents_per_hour=10_000)
    aggregation.absorb(tenant=tenant, alerts=alerts("unknown"))
    return tenant


def alerts(name: str, **facts: Any) -> Sequence[Alert]:
    return [
        Alert(
            trigger_type="failure_spike",
            group_key=f"{name}-{number}",
            call_id=f"{name}-{number}",
            run_id=f"{name}-{number}",
            **facts,
        )
        for number in range(COUNT)
    ]


def test_what_a_report_could_join_is_found_by_its_key(
    unknown: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plans_of(monkeypatch, "AS k(trigger_type, group_key)") as plans:
        aggregation.absorb(tenant=unknown, alerts=alerts("again"))
    assert plans
    for plan in plans:
        used, condition = re.findall(r" (incident_\w+) .*\n\s+Index Cond: (.*)", plan)[0]
        assert used == "incident_unresolved_key", plan
        assert "group_key" in condition
    assert Incident.objects.count() == 3 * COUNT


def test_runs_are_counted_without_a_join(unknown: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with plans_of(monkeypatch, "SET incident_count") as plans:
        aggregation.absorb(tenant=unknown, alerts=alerts("again"))
    (plan,) = plans
    assert "Conflict Arbiter Indexes: run_identity" in plan
    assert "Join" not in plan
    assert "Nested Loop" not in plan
    assert set(Run.objects.values_list("incident_count", flat=True)) == {1}
    assert Run.objects.count() == 3 * COUNT


def test_calls_of_an_overflow_are_found_by_their_index(
    unknown: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tenant.objects.filter(pk=unknown.pk).update(incidents_per_hour=1)
    limited = Tenant.objects.get(pk=unknown.pk)
    aggregation.absorb(tenant=limited, alerts=alerts("above"))
    with plans_of(monkeypatch, "AS c(call_id)") as plans:
        aggregation.absorb(tenant=limited, alerts=alerts("above again"))
    (plan,) = plans
    assert "using alert_overflow_calls" in plan
    overflow = Incident.objects.get(trigger_type="rate_limit_overflow")
    assert overflow.calls_affected == StoredAlert.objects.filter(incident=overflow).count()


def test_what_has_a_key_of_its_own_is_found_by_it(unknown: Tenant) -> None:
    run = Run.objects.for_tenant(unknown).filter(run_id="unknown-7")
    incident = Incident.objects.for_tenant(unknown).filter(pk=Incident.objects.all()[0].pk)
    with scope.tenant(unknown.pk):
        assert re.search(r"run_identity .*\n\s+Index Cond: .*run_id", run.explain())
        assert "incidents_incident_pkey" in incident.explain()
