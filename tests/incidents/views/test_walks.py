"""Walking the list of incidents while the world goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, Severity, Status
from incidents.models import Incident
from incidents.services import aggregation, lifecycle
from incidents.services.reports import Report
from tests.config.api.conftest import ApiClient
from tests.factories.reading import NOW, incident

pytestmark = pytest.mark.django_db
BY = Actor(via="test")


def walk(api: ApiClient, query: dict[str, Any], between: Any) -> Iterator[str]:
    """The ids of every page; ``between`` happens after each."""
    page = api.get("/api/v1/incidents/", query).json()
    while True:
        yield from (one["id"] for one in page["results"])
        if page["next"] is None:
            return
        between()
        page = api.get(page["next"]).json()


@pytest.mark.parametrize("ordering", ["-created_at", "created_at"])
@given(
    ages=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    page_size=st.integers(1, 3),
    severities=st.lists(st.sampled_from(Severity), min_size=9, max_size=9),
)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_walk_by_created_at_under_as_of_returns_each_once(
    tenant: Tenant, api: ApiClient, ordering: str, ages: list[int], page_size: int, severities: Any
) -> None:
    Incident.objects.filter(tenant=tenant).update(created_at=NOW + timedelta(days=1))
    as_of = NOW - timedelta(minutes=1)
    made = [
        # Many at the very same moment; the newest only after as_of.
        incident(tenant, started_at=NOW - timedelta(minutes=age), severity=severity)
        for age, severity in zip(ages, severities, strict=False)
    ]
    expected = {str(one.pk) for one in made if one.created_at <= as_of}
    turns = iter(range(1_000))

    def between() -> None:
        turn = next(turns)
        one = made[turn % len(made)]
        with clock.pretend(NOW + timedelta(minutes=turn)):
            incident(tenant, started_at=NOW + timedelta(minutes=turn))
            lifecycle.set_severity(incident=one, by=BY, severity=Severity.LOW, reason="x")
            if Incident.objects.get(pk=one.pk).status != Status.RESOLVED:
                aggregation.absorb(
                    tenant=tenant,
                    alerts=[Report(trigger_type=one.trigger_type, group_key=one.group_key)],
                )
                lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.MANUAL)

    query = {
        "as_of": as_of.isoformat().replace("+00:00", "Z"),
        "page_size": page_size,
        "ordering": ordering,
    }
    seen = list(walk(api, query, between))
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
