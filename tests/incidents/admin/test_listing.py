"""How far back the list of incidents looks, and that nothing is passed over on the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod
from incidents.models import Incident
from incidents.services import lifecycle, reach
from incidents.services.reads import search
from tests.factories.people import incident, person

pytestmark = pytest.mark.django_db

LIST = "admin:incidents_incident_changelist"
ROWS = 8
BY = Actor(via="test", name="x")


@pytest.fixture
def house(tenant: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch) -> list[Incident]:
    """Thirty incidents, resolved, an hour apart, newest first; every tenth has another trigger."""
    monkeypatch.setattr(reach, "ROWS", ROWS)
    now = clock.now()
    found = []
    for number in range(30):
        with clock.pretend(now - timedelta(hours=number)):
            one = incident(
                other if number % 3 else tenant,
                f"kind-{number}",
                trigger_type="rare" if number % 10 == 5 else "usual",
                category="rare" if number in (3, 29) else "usual",
                cost_delta_cents=str(number),
            )
            lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.AUTO)
        found.append(one)
    return found


@pytest.fixture
def root(client: Client, db: None) -> Client:
    client.force_login(person(None))
    return client


def walked(client: Client, **query: str) -> tuple[list[Incident], list[Any]]:
    """The incidents of all pages, and the pages; and back again, which finds the same."""
    pages = []
    seen: list[Incident] = []
    while True:
        answer = client.get(reverse(LIST), query)
        pages.append(answer)
        page = answer.context["page"]
        seen += page.rows
        if page.older is None:
            break
        query["cursor"] = page.older
    back: list[Incident] = list(page.rows)
    while page.newer is not None:
        query["cursor"] = page.newer
        page = client.get(reverse(LIST), query).context["page"]
        back = [*page.rows, *back]
    assert back == seen
    return seen, pages


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize("whose", ["", "one", "before"])
def test_list_of_what_is_rare_looks_so_far_and_leads_on(
    root: Client, house: list[Incident], tenant: Tenant, whose: str
) -> None:
    query = {"topic": "all", "trigger_type": "rare"}
    wanted = [one for one in house if one.trigger_type == "rare"]
    if whose == "one":
        query["tenant"] = tenant.pk
        wanted = [one for one in wanted if one.tenant_id == tenant.pk]
    if whose == "before":
        query["started_before"] = _at(clock.now() + timedelta(hours=1))
    found, pages = walked(root, **query)
    assert found == wanted
    assert len(pages) > 1
    first = pages[0].content.decode()
    assert f"Looked through {ROWS} incidents, back to" in first
    assert "Look further back" in first
    assert "Looked through" not in pages[-1].content.decode()


def test_list_of_what_an_index_finds_looks_through_all(root: Client, house: list[Incident]) -> None:
    (found, pages) = walked(root, topic="all", category="rare")
    assert found == [house[3], house[29]]
    assert len(pages) == 1
    lifecycle.assign(incident=house[29], by=BY, assignee="ada")
    assert walked(root, topic="all", assignee="ada")[0] == [house[29]]
    assert walked(root, topic="all", category="rare", trigger_type="usual")[0] == found
    # With as many as it would look through anyway, the index is no shorter a way.
    assert len(walked(root, topic="all", category="usual")[1]) > 1


def test_list_ordered_by_what_no_index_serves_says_of_which(
    root: Client, house: list[Incident], tenant: Tenant
) -> None:
    answer = root.get(reverse(LIST), {"topic": "all", "order": "cost"})
    assert list(answer.context["rows"]) == house[:ROWS][::-1]
    assert f"the latest {ROWS} of these incidents" in answer.content.decode()
    answer = root.get(reverse(LIST), {"topic": "all", "order": "cost", "category": "rare"})
    assert list(answer.context["rows"]) == [house[29], house[3]]
    assert "of these incidents" not in answer.content.decode()


@pytest.mark.parametrize("whose", ["", "one", "staff"])
def test_list_of_common_words_looks_so_far_and_leads_on(
    client: Client,
    house: list[Incident],
    tenant: Tenant,
    other: Tenant,
    whose: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "FEW", 4)
    monkeypatch.setattr(reach, "WORDED", ROWS)
    client.force_login(person("viewer", tenant, other) if whose == "staff" else person(None))
    query = {"topic": "all", "search": "USUAL"}
    wanted = [one for one in house if one.trigger_type == "usual"]
    if whose == "one":
        query["tenant"] = tenant.pk
        wanted = [one for one in wanted if one.tenant_id == tenant.pk]
    found, pages = walked(client, **query)
    assert found == wanted
    assert len(pages) > 1
    assert f"Looked through {ROWS} incidents, back to" in pages[0].content.decode()
    ordered = client.get(reverse(LIST), query | {"order": "cost"})
    assert set(ordered.context["rows"]) <= set(wanted)
    assert f"the latest {ROWS} of these incidents" in ordered.content.decode()
    # Few have these: they are found wherever they are.
    found, pages = walked(client, **query | {"search": "kind-27"})
    assert found == [house[27]]
    assert len(pages) == 1


def test_list_of_common_words_that_another_tenant_says(
    client: Client,
    house: list[Incident],
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "FEW", 4)
    client.force_login(person("viewer", tenant))
    lifecycle.comment(incident=house[27], by=BY, description="usual")
    assert walked(client, topic="all", search="rare")[0] == [house[15]]


def test_list_from_a_moment_ends_its_walk_there(root: Client, house: list[Incident]) -> None:
    found, pages = walked(
        root, topic="all", trigger_type="rare", started_after=_at(house[6].started_at)
    )
    assert found == [house[5]]
    assert len(pages) == 1


def test_list_of_history_begins_where_it_does(root: Client, house: list[Incident]) -> None:
    with clock.pretend(clock.now() + timedelta(days=30, hours=-20.5)):
        # Nine of them: as many as are resolved for thirty days, and looked through with one more.
        found, _ = walked(root, topic="historical")
        assert found == house[21:]
        found, pages = walked(root, topic="historical", trigger_type="rare")
    assert found == [house[25]]
    assert len(pages) == 2


def test_list_asks_as_many_questions_of_many(root: Client, house: list[Incident]) -> None:
    root.get(reverse(LIST))
    for query in ({"category": "usual"}, {"trigger_type": "rare"}, {"order": "cost"}):
        with CaptureQueriesContext(connection) as captured:
            root.get(reverse(LIST), {"topic": "all", **query})
        assert len(captured) <= 12
