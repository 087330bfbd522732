"""The lists of incidents over HTTP: what narrows them, their order, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import yaml
from django.test import Client

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import CauseType, Severity
from incidents.models import Event, IncidentAgent
from incidents.services import lifecycle
from tests.config.api.conftest import ApiClient
from tests.factories.reading import NOW, incident
from tests.factories.tenancy import TenantFactory
from tests.statements import counted

pytestmark = pytest.mark.django_db

LIST = "/api/v1/incidents/"
COUNT = "/api/v1/incidents/count/"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with clock.pretend(NOW):
        yield


def titles(api: ApiClient, query: str) -> list[str]:
    answer = api.get(f"{LIST}?{query}")
    assert answer.status_code == 200, answer.json()
    found = [one["title"] for one in answer.json()["results"]]
    if "ordering" not in query:
        assert api.get(f"{COUNT}?{query}").json() == {"count": len(found)}
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "dcba"),
        ("topic=active", "da"),
        ("topic=resolved", "cb"),
        ("topic=historical", "b"),
        ("topic=historical&retention_days=365", ""),
        ("status=open", "a"),
        ("status=open&status=acknowledged", "da"),
        ("severity=critical&severity=low", "ca"),
        ("category=x&category=y", "ba"),
        ("category=y", "b"),
        ("cause_type=human", "d"),
        ("trigger_type=freeze", "c"),
        ("agent_id=agent-2", "a"),
        ("run_id=run-1", "ba"),
        ("run_id=run-10", ""),
        ("assignee=ada", "d"),
        ("is_synthetic=true", "c"),
        ("is_synthetic=false", "dba"),
        ("created_after=2026-11-05T09:20:30.123456Z", "d"),
        ("created_before=2026-11-05T09:20:30.123456Z", "cba"),
        ("resolved_after=2026-11-01T00:00:00%2B02:00", "c"),
        ("resolved_before=2026-11-01T00:00:00Z", "b"),
        ("search=SPIKE%20upstream", "a"),
        ("as_of=2026-11-05T08:20:30.123456Z", "cba"),
        ("severity=low&status=resolved&topic=resolved", "c"),
        ("ordering=created_at", "abcd"),
        ("ordering=-severity", "abdc"),
        ("ordering=calls_affected", "cdba"),
        ("ordering=-cost_delta_cents", "bdca"),
        ("ordering=resolved_at", "bcad"),
        ("ordering=-resolved_at", "cbda"),
        ("ordering=last_seen_at", "abcd"),
    ],
)
def test_list_is_narrowed_and_ordered(
    query: str, expected: str, tenant: Tenant, api: ApiClient
) -> None:
    a = incident(
        tenant, title="a", started_at=NOW - 90 * 24 * HOUR, severity=Severity.CRITICAL,
        category="x", runs=("run-1",), calls_affected=9, error_message="Spike, upstream",
    )  # fmt: skip
    IncidentAgent.objects.create(tenant=tenant, agent_id="agent-2", incident=a)
    incident(
        tenant, title="b", started_at=NOW - 60 * 24 * HOUR, resolved_after=HOUR, category="y",
        runs=("run-1",), severity=Severity.HIGH, calls_affected=8, cost_delta_cents=Decimal(9),
    )  # fmt: skip
    incident(
        tenant, title="c", started_at=NOW - 2 * HOUR, resolved_after=HOUR, severity=Severity.LOW,
        trigger_type="freeze", is_synthetic=True, calls_affected=0, cost_delta_cents=Decimal(1),
    )  # fmt: skip
    incident(
        tenant, title="d", started_at=NOW - HOUR, acknowledged_after=HOUR, assignee="ada",
        cause_type=CauseType.HUMAN, calls_affected=7, cost_delta_cents=Decimal(2),
    )  # fmt: skip
    incident(TenantFactory.create(), title="e", category="x", assignee="ada", runs=("run-1",))
    assert "".join(titles(api, query)) == expected


@pytest.mark.parametrize(
    "column", ["resolved_at", "severity", "cost_delta_cents", "calls_affected"]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_list_walked_forth_and_back_by_what_ties(
    column: str, sign: str, tenant: Tenant, api: ApiClient
) -> None:
    for number in range(7):
        incident(tenant, resolved_after=HOUR if number % 3 else None)
    first = api.get(LIST, {"ordering": sign + column, "page_size": 3}).json()
    forth, page = [first], first
    while page["next"]:
        page = api.get(page["next"]).json()
        forth.append(page)
    assert [len(page["results"]) for page in forth] == [3, 3, 1]
    assert len({one["id"] for page in forth for one in page["results"]}) == 7
    back = [page]
    while page["previous"]:
        page = api.get(page["previous"]).json()
        back.append(page)
    assert [page["results"] for page in back[::-1]] == [page["results"] for page in forth]


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("topic=new", {"/topic"}),
        ("topic=active&topic=active", {"/topic"}),
        ("topic=resolved&retention_days=30", {"/retention_days"}),
        ("topic=historical&retention_days=6", {"/retention_days"}),
        ("topic=historical&retention_days=366", {"/retention_days"}),
        ("topic=historical&retention_days=30d", {"/retention_days"}),
        ("status=closed&severity=3", {"/status", "/severity"}),
        ("status=", {"/status"}),
        ("category=A", {"/category"}),
        ("run_id=a%2Fb", {"/run_id"}),
        ("is_synthetic=1", {"/is_synthetic"}),
        ("created_after=2026-11-05T09:20:30", {"/created_after"}),
        ("resolved_before=yesterday", {"/resolved_before"}),
        ("search=", {"/search"}),
        ("search=a%00b", {"/search"}),
        ("as_of=2026-11-05", {"/as_of"}),
        ("assignee=a&assignee=b", {"/assignee"}),
        ("surprise=1", {"/surprise"}),
    ],
)
def test_list_and_count_refuse_by_name(query: str, refused: set[str], api: ApiClient) -> None:
    for address in (LIST, COUNT):
        answer = api.get(f"{address}?{query}")
        assert answer.status_code == 400
        assert {error["pointer"] for error in answer.json()["errors"]} == refused


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("ordering=title", "/ordering"),
        ("ordering=created_at&ordering=severity", "/ordering"),
        ("page_size=0", "/page_size"),
        ("page_size=101", "/page_size"),
        ("cursor=x", "/cursor"),
    ],
)
def test_list_refuses_what_is_no_page(query: str, refused: str, api: ApiClient) -> None:
    answer = api.get(f"{LIST}?{query}")
    assert [error["pointer"] for error in answer.json()["errors"]] == [refused]
    assert api.get(f"{COUNT}?{query}").status_code == 400


def test_list_refuses_the_cursor_of_another_ordering(tenant: Tenant, api: ApiClient) -> None:
    for _ in range(2):
        incident(tenant)
    following = api.get(LIST, {"page_size": 1}).json()["next"]
    answer = api.get(f"{following}&ordering=severity")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/cursor"]


def test_list_tells_what_the_detail_tells(tenant: Tenant, api: ApiClient) -> None:
    one = incident(
        tenant, resolved_after=HOUR, acknowledged_after=HOUR, assignee="ada", category="x",
        calls_affected=3, cost_delta_cents=Decimal("12.5"), trigger_value="> 3",
    )  # fmt: skip
    other = incident(tenant, group_key="")
    summaries = {row["id"]: row for row in api.get(LIST).json()["results"]}
    for each in (one, other):
        detail = api.get(f"{LIST}{each.pk}/").json()
        summary = summaries[str(each.pk)]
        assert summary == {name: detail[name] for name in summary}
    assert summaries[str(one.pk)]["cost_delta_cents"] == "12.5000"
    assert summaries[str(other.pk)]["group_key"] is None


ADDRESSES = (
    "incidents/",
    "incidents/?topic=historical&search=spike&severity=low&run_id=one-run&ordering=-resolved_at",
    "incidents/count/?topic=active",
    "incidents/{id}/",
    "incidents/{id}/events/",
    "incidents/{id}/alerts/",
    "incidents/{id}/evidence/",
    "incidents/{id}/learnings/",
    "incidents/{id}/similar/",
    "incidents/{id}/recurrences/",
    "runs/",
    "runs/one-run/",
    "runs/one-run/incidents/",
    "runs/one-run/contamination/",
    "violations/",
    "policy-evaluations/",
    "cost-records/",
    "cost-anomalies/",
    "policy-rules/",
    "preventions/",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_reading_takes_a_fixed_number_of_queries(
    address: str, tenant: Tenant, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = incident(tenant, category="c", signature="v1:x", error_code="E", runs=("one-run",))
    path = "/api/v1/" + address.format(id=about.pk)
    for _ in range(3):
        incident(tenant, category="c", signature="v1:x", resolved_after=HOUR, runs=("one-run",))
    api.get(path)
    counts = []
    for _ in range(2):
        with counted(monkeypatch) as statements:
            assert api.get(path).status_code == 200
        counts.append(len(statements))
        for _ in range(12):
            one = incident(
                tenant, category="c", signature="v1:x", resolved_after=HOUR, runs=("one-run",)
            )
            lifecycle.comment(incident=about, by=Actor(via="test"), description=str(one.pk))
    assert counts[0] == counts[1]
    # Besides its own: the key, the role of its tenant, and a transaction's ends.
    assert counts[1] <= 12, statements


def test_events_of_an_incident_come_newest_first(tenant: Tenant, api: ApiClient) -> None:
    one = incident(tenant)
    for number in range(3):
        with clock.pretend(NOW + number * HOUR):
            lifecycle.comment(incident=one, by=Actor(via="test"), description=f"{number}")
    assert Event.objects.count() == 3
    seen = api.get(f"{LIST}{one.pk}/events/?as_of=2026-11-05T11:20:30.123456Z").json()["results"]
    assert [event["description"] for event in seen] == ["1", "0"]


def test_documentation_says_what_each_ordering_promises(client: Client) -> None:
    document = yaml.safe_load(client.get("/api/schema/").content)
    operation = document["paths"]["/api/v1/incidents/"]["get"]
    (ordering,) = [one for one in operation["parameters"] if one["name"] == "ordering"]
    assert "exactly once" in ordering["description"]
    assert "the present" in ordering["description"]
    (as_of,) = [one for one in operation["parameters"] if one["name"] == "as_of"]
    assert "created_at" in as_of["description"]


def test_list_needs_the_read_scope(call: Callable[..., ApiClient]) -> None:
    assert call("ingest").get(LIST).status_code == 403
