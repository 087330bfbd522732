"""What lists hold and in which order, against plain Python over the same rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import CauseType, Severity, Status, Topic
from incidents.models import Incident, IncidentAgent
from incidents.services import reads, rollup
from incidents.services.reads import ORDERINGS, Narrowing, Place, pages
from tests.factories.reading import NOW, example, histories, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

_moments = st.sampled_from(
    (NOW, NOW - timedelta(days=1), NOW - timedelta(days=30), datetime(2026, 11, 2, tzinfo=UTC))
)
_narrowings = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from(Topic),
        "retention_days": st.sampled_from((7, 30, 90)),
        "status": st.lists(st.sampled_from(Status), min_size=1, max_size=3),
        "severity": st.lists(st.sampled_from([s.label for s in Severity]), min_size=1),
        "category": st.lists(st.sampled_from(("a", "b", "uncategorized", "x'")), min_size=1),
        "cause_type": st.sampled_from(CauseType),
        "trigger_type": st.sampled_from(("freeze", "other")),
        "run_id": st.sampled_from(("run-1", "run-2", "run")),
        "assignee": st.sampled_from(("ada", "bob")),
        "is_synthetic": st.booleans(),
        "created_after": _moments,
        "created_before": _moments,
        "resolved_after": _moments,
        "resolved_before": _moments,
        "as_of": _moments,
        "signature": st.sampled_from(("v1:x", "")),
    },
).map(lambda given: Narrowing(**given))


def belongs(one: Incident, runs: tuple[str, ...], narrowing: Narrowing) -> bool:
    resolved = one.status == Status.RESOLVED
    long_ago = NOW - timedelta(days=narrowing.retention_days)
    return (
        {
            None: True,
            "active": not resolved,
            "resolved": resolved,
            "historical": resolved and one.resolved_at < long_ago,
        }[narrowing.topic]
        and (not narrowing.status or one.status in narrowing.status)
        and (not narrowing.severity or Severity(one.severity).label in narrowing.severity)
        and (not narrowing.category or one.category in narrowing.category)
        and all(
            getattr(narrowing, name) in (None, getattr(one, name))
            for name in ("cause_type", "trigger_type", "assignee", "is_synthetic", "signature")
        )
        and (narrowing.run_id is None or narrowing.run_id in runs)
        and (narrowing.created_after is None or one.created_at >= narrowing.created_after)
        and (narrowing.created_before is None or one.created_at < narrowing.created_before)
        and (narrowing.as_of is None or one.created_at <= narrowing.as_of)
        and (
            narrowing.resolved_after is None
            or (resolved and one.resolved_at >= narrowing.resolved_after)
        )
        and (
            narrowing.resolved_before is None
            or (resolved and one.resolved_at < narrowing.resolved_before)
        )
    )


def in_order(incidents: list[Incident], ordering: str) -> list[str]:
    column, falling = ordering.removeprefix("-"), ordering.startswith("-")
    known = [one for one in incidents if getattr(one, column) is not None]
    unknown = [one for one in incidents if getattr(one, column) is None]
    known.sort(key=lambda one: (getattr(one, column), one.pk), reverse=falling)
    unknown.sort(key=lambda one: one.pk, reverse=falling)
    return [str(one.pk) for one in known + unknown]


@given(
    histories,
    _narrowings,
    st.sampled_from([f"{sign}{column}" for column in ORDERINGS for sign in ("", "-")]),
    st.integers(1, 4),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_page_and_count_of_any_history(
    history: Any, narrowing: Narrowing, ordering: str, size: int
) -> None:
    with example(history) as (tenant, incidents):
        expected = in_order(
            [
                one
                for one, specification in zip(incidents, history, strict=True)
                if belongs(one, specification["runs"], narrowing)
            ],
            ordering,
        )
        assert reads.count(tenant=tenant.pk, narrowing=narrowing) == len(expected)

        def page(place: Place | None) -> list[dict[str, Any]]:
            return reads.page(
                tenant=tenant.pk, narrowing=narrowing, ordering=ordering, size=size, place=place
            )

        def beyond(row: dict[str, Any], *, backward: bool) -> Place:
            return Place(row[ordering.removeprefix("-")], row["id"], backward)

        forth, rows = [], page(None)
        while rows:
            forth += rows
            rows = page(beyond(rows[-1], backward=False))
        assert [row["id"] for row in forth] == expected
        if not forth:
            return
        back, rows = [forth[-1]], page(beyond(forth[-1], backward=True))
        while rows:
            back += rows
            rows = page(beyond(rows[-1], backward=True))
        assert [row["id"] for row in back] == expected[::-1]
        whose = Incident.objects.filter(tenant=tenant)
        narrowed = reads.narrow(whose, narrowing, tenant=tenant.pk)
        assert {str(one.pk) for one in narrowed} == set(expected)


def test_count_of_all_is_that_of_the_rows_whatever_is_folded_and_removed() -> None:
    tenant = TenantFactory.create()
    incident(TenantFactory.create())

    def count() -> int:
        return reads.count(tenant=tenant.pk, narrowing=Narrowing())

    assert count() == 0
    kept, removed = incident(tenant), incident(tenant, started_at=NOW - timedelta(days=400))
    assert count() == 2
    rollup.fold()
    assert count() == 2
    removed.delete()
    assert count() == Incident.objects.filter(tenant=tenant).count() == 1
    Incident.objects.filter(pk=kept.pk).update(severity=Severity.CRITICAL)
    incident(tenant)
    assert count() == 2


def test_page_by_an_agent_of_any_alert() -> None:
    tenant: Tenant = TenantFactory.create()
    one = incident(tenant, agent_id="first")
    incident(tenant, agent_id="second")
    IncidentAgent.objects.create(tenant=tenant, agent_id="second", incident=one)
    found = reads.page(
        tenant=tenant.pk, narrowing=Narrowing(agent_id="second"), ordering="created_at", size=9
    )
    assert [row["id"] for row in found] == [str(one.pk)]


@pytest.mark.parametrize("narrowing", [Narrowing(), Narrowing(topic="active")])
@pytest.mark.parametrize("ordering", ["created_at", "-created_at"])
def test_page_at_any_depth_begins_in_the_index_of_its_order(
    narrowing: Narrowing, ordering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant: Tenant = TenantFactory.create()
    incident(tenant)
    asked: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        pages, "run", lambda statement, parameters, **_: asked.append((statement, parameters)) or []
    )
    place = Place(NOW, clock.uuid7(), backward=False)
    reads.page(tenant=tenant.pk, narrowing=narrowing, ordering=ordering, size=20, place=place)
    ((statement, parameters),) = asked
    with connection.cursor() as cursor:
        # What would be chosen of a large table.
        for way in ("seqscan", "bitmapscan", "sort", "incremental_sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN {statement}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Sort" not in plan
    (condition,) = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "tenant_id" in condition
    assert "ROW(created_at, id)" in condition
