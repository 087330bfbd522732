from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Similarity
from incidents.models import Evidence, Incident
from incidents.services import postmortem
from tests.config.api.conftest import ApiClient
from tests.factories.reading import NOW, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with clock.pretend(NOW):
        yield


def ago(days: float) -> Any:
    return NOW - timedelta(days=days)


def test_similar_ranks_signature_then_error_code_then_category(
    tenant: Tenant, api: ApiClient
) -> None:
    about = incident(tenant, signature="v1:x", error_code="E", category="c")
    by_category = incident(tenant, category="c", resolved_after=FIVE, started_at=ago(1))
    by_code = incident(tenant, error_code="E", resolved_after=FIVE, started_at=ago(2))
    older = incident(
        tenant, signature="v1:x", error_code="E", category="c",
        resolved_after=FIVE, started_at=ago(4),
    )  # fmt: skip
    newer = incident(tenant, signature="v1:x", resolved_after=FIVE, started_at=ago(3))
    incident(tenant, signature="v1:x", error_code="E", category="c")  # not resolved
    incident(tenant, signature="v1:xy", error_code="EE", category="cc", resolved_after=FIVE)
    incident(
        TenantFactory.create(), signature="v1:x", error_code="E", category="c", resolved_after=FIVE
    )
    body = api.get(f"/api/v1/incidents/{about.pk}/similar/").json()
    assert [(one["id"], one["similarity"]) for one in body["results"]] == [
        (str(newer.pk), "signature"),
        (str(older.pk), "signature"),
        (str(by_code.pk), "error_code"),
        (str(by_category.pk), "category"),
    ]
    first = api.get(f"/api/v1/incidents/{about.pk}/similar/", {"page_size": 3}).json()
    second = api.get(first["next"]).json()
    assert first["results"] + second["results"] == body["results"]
    assert second["next"] is None


def test_similar_lists_at_most_five_of_ninety_days(tenant: Tenant, api: ApiClient) -> None:
    about = incident(tenant, category="c")
    for days in range(1, 8):
        incident(tenant, category="c", resolved_after=FIVE, started_at=ago(days))
    other = incident(tenant, category="d")
    incident(tenant, category="d", resolved_after=FIVE, started_at=ago(91))
    assert len(api.get(f"/api/v1/incidents/{about.pk}/similar/").json()["results"]) == 5
    assert api.get(f"/api/v1/incidents/{other.pk}/similar/").json()["results"] == []


def test_similar_to_an_incident_that_says_nothing_of_itself(tenant: Tenant, api: ApiClient) -> None:
    about = incident(tenant)
    incident(tenant, resolved_after=FIVE)
    assert api.get(f"/api/v1/incidents/{about.pk}/similar/").json()["results"] == []


@pytest.mark.parametrize("what", ["learnings", "similar"])
def test_learnings_and_similar_of_no_or_a_strange_incident(api: ApiClient, what: str) -> None:
    strange = incident(TenantFactory.create())
    answers = [api.get(f"/api/v1/incidents/{id_}/{what}/") for id_ in (uuid4(), strange.pk, "x")]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert answers[0].json() == answers[1].json()


def evidence(of: Incident, *, recovery: bool) -> None:
    Evidence.objects.create(
        tenant=of.tenant,
        incident=of,
        kind="note",
        data={},
        sha256="0" * 64,
        recovery_executed=recovery,
        created_at=NOW,
        via="test",
    )


def test_learnings_tell_what_happened_and_what_past_ones_teach(
    tenant: Tenant, api: ApiClient
) -> None:
    about = incident(
        tenant, category="c", resolved_after=timedelta(minutes=30), resolution_summary="Restarted"
    )
    past = [
        incident(
            tenant,
            category="c",
            resolved_after=FIVE * (n + 1),
            method=method,
            started_at=ago(n + 1),
        )
        for n, method in enumerate(("rollback", "manual", "rollback"))
    ]
    evidence(about, recovery=False)
    evidence(about, recovery=True)
    for one in past[:2]:
        evidence(one, recovery=True)
    evidence(past[2], recovery=False)

    body = api.get(f"/api/v1/incidents/{about.pk}/learnings/").json()

    assert body["incident_id"] == str(about.pk)
    assert body["resolution"]["evidence_count"] == 2
    assert body["resolution"]["recovery_attempts"] == 1
    assert body["resolution"]["resolution_summary"] == "Restarted"
    assert body["resolution"]["time_to_resolve_ms"] == 1_800_000
    ids = [str(one.pk) for one in past]
    assert [one["incident_id"] for one in body["similar"]] == ids
    assert [one["recovery_attempts"] for one in body["similar"]] == [1, 1, 0]
    assert [(i["kind"], i["confidence"], i["incident_ids"]) for i in body["insights"]] == [
        ("same_method", 0.7, [ids[0], ids[2]]),
        ("recovery_attempted", 0.76, ids[:2]),
        ("time_to_resolve", 0.8, ids),
    ]
    assert (body["category"]["category"], body["category"]["occurrences"]) == ("c", 4)


def like(method: str, *, recoveries: int = 0) -> postmortem.Similar:
    return postmortem.Similar(uuid4(), "t", Similarity.CATEGORY, method, None, 60_000.0, recoveries)


@pytest.mark.parametrize(
    ("alike", "expected"),
    [
        ([], {}),
        ([like("auto", recoveries=3)], {}),
        ([like("auto"), like("manual")], {"time_to_resolve": 0.7}),
        ([like("auto"), like("auto")], {"same_method": 0.7, "time_to_resolve": 0.7}),
        (
            [like("auto", recoveries=1)] * 5,
            {"same_method": 0.9, "recovery_attempted": 0.85, "time_to_resolve": 0.8},
        ),
    ],
)
def test_of_similar_by_the_formulas(
    alike: list[postmortem.Similar], expected: dict[str, float]
) -> None:
    found = postmortem.of_similar(alike)
    assert {insight.kind.value: insight.confidence for insight in found} == expected
