"""A crash after each statement of each service, in turn, leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import connection

from config.database import statements
from config.tenancy.models import Tenant
from incidents.enums import RuleMode, RunStatus
from incidents.models import Incident, PolicyRule
from incidents.services import costs, evaluations, evidence, postmortem_stub, rules, runs, traces
from incidents.services.traces import StepFacts
from tests.factories.facts import BY, alert, fail, make_rule, spend, violate
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

Act = Callable[[Tenant], Any]


def _store(tenant: Tenant) -> Any:
    steps = [
        StepFacts(step_index=n, timestamp=datetime(2026, 1, 1, tzinfo=UTC), step_type="user")
        for n in range(1, 4)
    ]
    return traces.store(tenant=tenant, run_id="traced", trace_id="t2", steps=steps)


def _incident(tenant: Tenant) -> Incident:
    return Incident.objects.for_tenant(tenant).get(trigger_type="rate_limit")


def _rule(tenant: Tenant) -> PolicyRule:
    return PolicyRule.objects.for_tenant(tenant).get(name="shadow")


ACTS: dict[str, Act] = {
    "failure that opens": lambda t: fail(t, "traced", request_id="new"),
    "failure that joins": lambda t: fail(t, "other", error_code="KNOWN"),
    "failure that is prevented": lambda t: fail(t, "other", error_code="PREVENTED"),
    "failure that is repeated": lambda t: fail(t, "known", error_code="KNOWN"),
    "violation": lambda t: violate(t, "traced"),
    "anomaly that is reported": lambda t: spend(t, run_id="traced", agent_id="a"),
    "anomaly that is recorded": lambda t: spend(t, severity=1, run_id="new"),
    "cost record": lambda t: costs.record(
        tenant=t, request_id="r", run_id="new", cost_cents=Decimal(1)
    ),
    "evaluation": lambda t: evaluations.record(
        tenant=t, run_id="new", outcome="ok", policies_checked=1, confidence=1
    ),
    "run": lambda t: runs.announce(tenant=t, run_id="new"),
    "run that is completed": lambda t: runs.complete(
        tenant=t, run_id="new", status=RunStatus.SUCCEEDED
    ),
    "trace": lambda t: traces.store(
        tenant=t,
        run_id="new",
        trace_id="t",
        steps=[StepFacts(step_index=0, timestamp=datetime(2026, 1, 1, tzinfo=UTC), step_type="x")],
    ),
    "trace that is replaced": _store,
    "rule": lambda t: make_rule(t, error_code="X"),
    "rule that is changed": lambda t: rules.update(
        rule=_rule(t), by=BY, changes={"error_code": "Y"}
    ),
    "evidence": lambda t: evidence.attach(
        incident=_incident(t), by=BY, kind="log", data={}, recovery_executed=True
    ),
    "postmortem": lambda t: postmortem_stub.start(incident=_incident(t), by=BY),
}


class Crash(Exception):
    """What a statement raises when it is broken."""


@contextmanager
def broken(number: int | None) -> Iterator[list[str]]:
    """Breaks the statement of this number after it was run; the list has those that ran."""
    ran: list[str] = []

    def count(sql: Any) -> None:
        # A savepoint changes nothing by itself.
        if "SAVEPOINT" in str(sql):
            return
        ran.append(str(sql))
        if len(ran) - 1 == number:
            raise Crash(str(sql))

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        count(sql)
        return result

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **options: Any) -> Any:
            result = super().execute(query, *args, **options)
            count(query)
            return result

    plain = statements.psycopg
    statements.psycopg = SimpleNamespace(Cursor=Cursor)  # type: ignore[assignment]
    try:
        with connection.execute_wrapper(wrapper):
            yield ran
    finally:
        statements.psycopg = plain


def snapshot() -> dict[str, list[str]]:
    """Every row of every table of incidents."""
    rows = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("incidents").get_models():
            table = model._meta.db_table
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            rows[table] = [row for (row,) in cursor.fetchall()]
    return rows


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create()
    make_rule(tenant, error_code="PREVENTED")
    make_rule(tenant, RuleMode.SHADOW, name="shadow", trigger_type="llm_failure")
    alert(tenant)
    fail(tenant, "known", error_code="KNOWN")
    _store(tenant)
    traces.store(tenant=tenant, run_id="traced", trace_id="t", steps=[])
    return tenant


@pytest.mark.parametrize("name", ACTS)
def test_a_crash_after_any_statement_leaves_nothing_behind(tenant: Tenant, name: str) -> None:
    act = ACTS[name]
    before = snapshot()
    number = 0
    while True:
        try:
            with broken(number):
                act(tenant)
        except Crash:
            assert snapshot() == before, f"after statement {number}"
            number += 1
        else:
            break
    assert number >= 3
    after = snapshot()
    changed = {table for table in after if after[table] != before[table]}
    assert changed
