from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import RunStatus
from incidents.errors import RunEnded, TraceKept
from incidents.models import Run, Step, Trace
from incidents.services import runs, traces
from incidents.services.traces import StepFacts, Stored
from tests.factories.facts import alert, fail
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def step(index: int, **given: Any) -> StepFacts:
    values = {"step_type": "user", "content": f"content {index} \u2713", **given}
    return StepFacts(step_index=index, timestamp=START + timedelta(seconds=index), **values)


def store(tenant: Tenant, *steps: StepFacts, **given: Any) -> Stored:
    return traces.store(
        tenant=tenant, **{"run_id": "run-1", "trace_id": "t", "steps": steps, **given}
    )


def test_store_keeps_every_step_with_the_hash_of_its_content(tenant: Tenant) -> None:
    steps = [
        step(0, agent_id="a", tokens=5, cost_cents=Decimal("0.5"), duration_ms=7, status="ok"),
        step(1, content=None),
        step(2, content=""),
    ]
    stored = store(tenant, *steps, violation_step_index=2, violation_timestamp=START)
    assert stored.created
    kept = traces.steps(trace=traces.get(tenant=tenant, run_id="run-1"))
    for told, row in zip(steps, kept, strict=True):
        for name in ("step_index", "timestamp", "tokens", "cost_cents", "content", "agent_id"):
            assert getattr(row, name) == getattr(told, name)
    assert kept[0].sha256 == sha256("content 0 \u2713".encode()).hexdigest()
    assert (kept[1].sha256, kept[2].sha256) == (None, sha256(b"").hexdigest())
    assert stored.trace.violation_step_index == 2


def test_store_again_replaces_the_trace_while_no_incident_points_to_the_run(
    tenant: Tenant,
) -> None:
    store(tenant, step(0), step(1), step(2))
    again = store(tenant, step(0), step(2, content="other"), step(3), trace_id="t2")
    assert not again.created
    rows = list(Step.objects.order_by("step_index").values_list("step_index", "content"))
    assert rows == [(0, "content 0 \u2713"), (2, "other"), (3, "content 3 \u2713")]
    assert Trace.objects.get().trace_id == "t2"


def test_store_the_same_again_writes_nothing(tenant: Tenant) -> None:
    first = store(tenant, step(0), step(1))
    fail(tenant)
    again = store(tenant, step(1), step(0))
    assert again.trace.pk == first.trace.pk
    assert again.trace.updated_at == first.trace.updated_at


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [step(0)]},
        {"steps": [step(0), step(1, content="other")]},
        {"steps": [step(0), step(1, tokens=1)]},
        {"steps": [step(0), step(1)], "trace_id": "t2"},
        {"steps": [step(0), step(1)], "violation_step_index": 1},
    ],
)
def test_store_refuses_changes_once_an_incident_points_to_the_run(
    tenant: Tenant, change: dict[str, Any]
) -> None:
    store(tenant, step(0), step(1), violation_step_index=0)
    incident = fail(tenant).incident
    assert Trace.objects.get().incident == incident
    with pytest.raises(TraceKept):
        traces.store(
            tenant=tenant,
            **{"run_id": "run-1", "trace_id": "t", "violation_step_index": 0, **change},
        )
    assert Step.objects.count() == 2
    store(tenant, step(0), step(1), step(2), violation_step_index=0)
    assert Step.objects.count() == 3


def test_store_after_the_incident_names_the_first_one(tenant: Tenant) -> None:
    first = fail(tenant).incident
    alert(tenant, run_id="run-1")
    assert store(tenant, step(0)).trace.incident == first


def test_store_refuses_steps_that_stand_twice_and_violations_in_none(tenant: Tenant) -> None:
    with pytest.raises(Invalid) as refused:
        store(tenant, step(0), step(1), step(0), violation_step_index=7)
    assert [e.pointer for e in refused.value.errors] == [
        "/steps/2/step_index",
        "/violation_step_index",
    ]
    assert not Trace.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE incidents_step SET content = 'x' WHERE false",
        "DELETE FROM incidents_step",
        "TRUNCATE incidents_step",
    ],
)
def test_the_database_keeps_the_steps_that_an_incident_points_to(
    tenant: Tenant, statement: str
) -> None:
    store(tenant, step(0))
    fail(tenant)
    connection.check_constraints()  # or TRUNCATE fails for those still to be checked
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Step.objects.count() == 1


def test_announce_fills_the_blanks_of_a_reported_run_once(tenant: Tenant) -> None:
    alert(tenant, run_id="run-1", agent_id="first")
    announced = runs.announce(tenant=tenant, run_id="run-1", agent_id="second", goal="g")
    assert not announced.created
    assert (announced.run.agent_id, announced.run.goal) == ("first", "g")
    again = runs.announce(tenant=tenant, run_id="run-1", goal="h", policy_snapshot_id="p")
    assert (again.run.goal, again.run.policy_snapshot_id) == ("g", None)
    assert runs.announce(tenant=tenant, run_id="run-2").created
    assert not runs.announce(tenant=tenant, run_id="run-2").created


def test_complete_ends_once(tenant: Tenant) -> None:
    runs.announce(tenant=tenant, run_id="run-1")
    ending: dict[str, Any] = {"run_id": "run-1", "status": RunStatus.SUCCEEDED, "total_tokens": 5}
    ended = runs.complete(tenant=tenant, **ending)
    assert (ended.status, ended.total_tokens) == ("succeeded", 5)
    assert runs.complete(tenant=tenant, **ending).completed_at == ended.completed_at
    for other in ({"status": RunStatus.HALTED}, {"total_tokens": 6}, {"error": "e"}):
        with pytest.raises(RunEnded):
            runs.complete(tenant=tenant, **{**ending, **other})


def test_complete_of_a_failed_run_ends_it_as_failed_only(tenant: Tenant) -> None:
    fail(tenant)
    with pytest.raises(RunEnded):
        runs.complete(tenant=tenant, run_id="run-1", status=RunStatus.SUCCEEDED)
    ended = runs.complete(tenant=tenant, run_id="run-1", status=RunStatus.FAILED, error="e")
    assert (ended.status, ended.error) == ("failed", "e")
    assert Run.objects.get().completed_at is not None
