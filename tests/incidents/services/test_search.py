from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection

from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod
from incidents.models import Incident
from incidents.services import aggregation, lifecycle, reads
from incidents.services.reads import Narrowing, Place, search
from incidents.services.reports import Report
from tests.factories.reading import NOW, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db
BY = Actor(via="ops-key", name="Zoë")


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create()
    return tenant


def found(tenant: Tenant, text: str) -> set[Incident]:
    everything = Incident.objects.filter(tenant=tenant)
    words = Narrowing(search=text)
    named = set(reads.narrow(everything, words, tenant=tenant.pk))
    assert named == set(reads.narrow(everything, words, tenant=None))
    assert len(named) == reads.count(tenant=tenant.pk, narrowing=words)
    return named


@pytest.mark.parametrize(
    "words",
    [
        "payments",
        "PAYMENTS gateway",
        "gateway: payments!",
        "grüße",
        "ETIMEDOUT",
        "payments ETIMEDOUT",
    ],
)
def test_matching_words_of_title_description_and_error(tenant: Tenant, words: str) -> None:
    one = incident(
        tenant,
        title="Payments gateway is down",
        description="Viele Grüße aus Köln",
        error_message="connect ETIMEDOUT 10.0.0.1",
    )
    incident(tenant)
    assert found(tenant, words) == {one}


def test_matching_words_of_comments_and_acts(tenant: Tenant) -> None:
    one = incident(tenant)
    other = incident(tenant)
    lifecycle.comment(incident=one, by=BY, description="The certificate had expired")
    lifecycle.resolve(
        incident=other, by=BY, method=ResolutionMethod.MANUAL, summary="renewed the certificate"
    )
    assert found(tenant, "certificate") == {one, other}
    assert found(tenant, "certificate renewed") == {other}
    assert found(tenant, "Zoë") == {other}


def test_matching_takes_all_words_from_one_place(tenant: Tenant) -> None:
    one = incident(tenant, title="Payments are slow")
    lifecycle.comment(incident=one, by=BY, description="Looking at the gateway")
    assert found(tenant, "payments slow") == {one}
    assert found(tenant, "payments gateway") == set()


def test_matching_leaves_out_how_firebreak_itself_opened_an_incident(tenant: Tenant) -> None:
    aggregation.absorb(tenant=tenant, alerts=[Report(trigger_type="freeze")])
    assert found(tenant, "freeze") == set(Incident.objects.all())
    assert found(tenant, "opened by an alert") == set()


@pytest.mark.parametrize(
    "text", ["", " ", "...", "'", "a & | ! ( ) : *", "\\", "'' OR 1=1 --", "%", "%s", "' other'"]
)
def test_matching_text_that_is_no_words_or_means_something_elsewhere(
    tenant: Tenant, text: str
) -> None:
    incident(tenant)
    incident(TenantFactory.create(id="other"))
    assert found(tenant, text) == set()


def test_matching_never_leaves_the_tenant(tenant: Tenant) -> None:
    other = incident(TenantFactory.create(), title="shared word")
    own = incident(tenant, title="shared word")
    assert found(tenant, "shared word") == {own}
    assert found(tenant, other.tenant_id) == set()


@pytest.mark.parametrize("ordering", ["created_at", "-created_at", "-severity", "-resolved_at"])
@pytest.mark.parametrize(("few", "near"), [(0, 1), (0, 4), (0, 100), (100, 1)])
def test_page_of_a_search_is_the_same_however_common_the_words_are(
    tenant: Tenant, ordering: str, few: int, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "NEAR", near)
    expected = set()
    for number in range(12):
        says = number % 3 > 0
        one = incident(
            tenant,
            title="common words" if says else "else",
            severity=1 + number % 4,
            resolved_after=timedelta(minutes=number) if number % 2 else None,
            created_at=NOW - timedelta(minutes=number * 7 % 12),
        )
        if number == 6:
            lifecycle.comment(incident=one, by=BY, description="said in common words")
        if says or number == 6:
            expected.add(one)
    column, sign = ordering.removeprefix("-"), -1 if ordering.startswith("-") else 1
    ids: list[str] = []
    place = None
    while rows := reads.page(
        tenant=tenant.pk,
        narrowing=Narrowing(search="common words"),
        ordering=ordering,
        size=2,
        place=place,
    ):
        ids += [row["id"] for row in rows]
        place = Place(rows[-1][column], UUID(rows[-1]["id"]), backward=False)

    def rank(one: Incident) -> tuple[bool, float, int]:
        value = getattr(one, column)
        if value is None:
            return True, 0, sign * one.pk.int
        number = value.timestamp() if isinstance(value, datetime) else value
        return False, sign * number, sign * one.pk.int

    assert ids == [str(one.pk) for one in sorted(expected, key=rank)]


def test_matching_is_answered_by_the_indexes(tenant: Tenant) -> None:
    incident(tenant)
    with connection.cursor() as cursor:
        # What is left can only be answered by the indexes of words.
        for way in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM incidents_incident i WHERE incidents_document("
            "i.tenant_id, i.title, i.description, i.error_message) @@ incidents_words('a', 'b') "
            "UNION SELECT incident_id FROM incidents_event e WHERE incidents_event_document("
            "e.tenant_id, e.description) @@ incidents_words('a', 'b') "
            "AND NOT (e.actor IS NULL AND e.event_type = 'opened')"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "incident_words" in plan
    assert "event_words" in plan
