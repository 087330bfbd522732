"""Lists and pages: what they show to whom, without counting, in a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import clock, csp
from config.actors import Actor
from config.tenancy.models import SavedView, Tenant
from incidents.enums import ResolutionMethod, Severity
from incidents.models import Failure, Incident
from incidents.services import aggregation, lifecycle, traces
from incidents.services.reports import AnyReport, Report
from incidents.services.traces import StepFacts
from tests.factories import facts
from tests.factories.people import incident, person

pytestmark = pytest.mark.django_db

LIST = "admin:incidents_incident_changelist"


def shown(client: Client, **query: Any) -> list[Incident]:
    answer = client.get(reverse(LIST), query)
    assert answer.status_code == 200
    return list(answer.context["rows"])


@pytest.fixture
def many(tenant: Tenant) -> list[Incident]:
    Tenant.objects.filter(pk=tenant.pk).update(incidents_per_hour=1000)
    tenant.refresh_from_db()
    reports: list[AnyReport] = [
        Report(trigger_type="odd", group_key=f"kind-{number:03}", occurred_at=clock.now())
        for number in range(120)
    ]
    aggregation.absorb(tenant=tenant, alerts=reports, via="test")
    return list(Incident.objects.all())


@pytest.mark.parametrize("order", ["", "worst", "calls", "cost", "seen"])
def test_list_pages_give_each_incident_once(
    responder: Client, many: list[Incident], order: str
) -> None:
    seen: list[Any] = []
    query = {"order": order}
    pages = []
    while True:
        answer = responder.get(reverse(LIST), query)
        page = answer.context["page"]
        pages.append([row.pk for row in page.rows])
        seen += pages[-1]
        if page.older is None:
            break
        query["cursor"] = page.older
    assert [len(page) for page in pages] == [35, 35, 35, 15]
    assert len(set(seen)) == len(many)
    back = responder.get(reverse(LIST), {"order": order, "cursor": page.newer})
    assert [row.pk for row in back.context["rows"]] == pages[-2]


def test_list_counts_nothing_and_asks_a_fixed_number_of_questions(
    client: Client, many: list[Incident]
) -> None:
    client.force_login(person(None))
    client.get(reverse(LIST))
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert len(shown(client, order="")) == 35
    asked = [query["sql"] for query in captured.captured_queries]
    assert not [sql for sql in asked if "COUNT(" in sql.upper()]
    assert len(asked) <= 12


@pytest.mark.parametrize(
    "cursor",
    ["n", "oxyz", "oW10", "oWyJhYmMiXQ", "nWyIxIiwgIjIiXQ", "obnVsbA", "\u20ac", "o" + "A" * 300],
)
def test_list_with_a_cursor_that_is_none(responder: Client, tenant: Tenant, cursor: str) -> None:
    one = incident(tenant)
    assert shown(responder, cursor=cursor) == [one]


def test_list_filters(responder: Client, tenant: Tenant) -> None:
    burning = incident(
        tenant, "one", trigger_type="freeze", category="stop", agent_id="a-1", run_id="r-1"
    )
    calm = incident(tenant, "two", trigger_type="other", error_message="Quiet words")
    done = incident(tenant, "three")
    by = Actor(via="test", name="x")
    lifecycle.resolve(incident=done, by=by, method=ResolutionMethod.AUTO)
    lifecycle.assign(incident=calm, by=by, assignee="grace")
    assert set(shown(responder)) == {burning, calm}
    assert shown(responder, topic="resolved") == [done]
    assert shown(responder, status="resolved") == [done]
    assert len(shown(responder, topic="all")) == 3
    assert shown(responder, severity="critical") == [burning]
    assert set(shown(responder, severity=["critical", "medium"])) == {burning, calm}
    assert shown(responder, category="stop") == [burning]
    assert shown(responder, trigger_type="other") == [calm]
    assert shown(responder, agent_id="a-1") == [burning]
    assert shown(responder, run_id="r-1") == [burning]
    assert shown(responder, assignee="grace") == [calm]
    assert shown(responder, search="quiet words") == [calm]
    assert shown(responder, started_after="2999-01-01T00:00") == []
    assert len(shown(responder, started_before="2999-01-01T00:00:00")) == 2
    lifecycle.acknowledge(incident=calm, by=by)
    assert shown(responder, acknowledged="yes") == [calm]
    assert shown(responder, acknowledged="no") == [burning]
    assert shown(responder, category="uncategorized") == [calm]
    assert shown(responder, order="worst")[0].severity == Severity.CRITICAL


def test_list_of_what_burns_begins_with_the_worst(responder: Client, tenant: Tenant) -> None:
    worst = incident(tenant, "one", trigger_type="freeze")
    later = incident(tenant, "two", trigger_type="other")
    assert shown(responder) == [worst, later]
    assert shown(responder, topic="all") == [later, worst]
    assert shown(responder, order="newest") == [later, worst]


def test_list_offers_what_can_be_done_to_its_rows(responder: Client, tenant: Tenant) -> None:
    incident(tenant)

    def offered(**query: str) -> set[str]:
        return {act.name for act in responder.get(reverse(LIST), query).context["acts"]}

    assert offered() == {"acknowledge", "resolve", "assign", "severity"}
    assert offered(topic="resolved") == offered(status="resolved") == {"assign", "severity"}


def test_sketch_of_a_burst_shows_that_it_stopped(responder: Client, tenant: Tenant) -> None:
    now = clock.now()
    with clock.pretend(now - timedelta(minutes=10)):
        one = incident(tenant, calls=9)
    (row,) = shown(responder)
    assert row.shape == "M0 19v-18h4v18z"  # type: ignore[attr-defined]
    assert row.shape_words.startswith("9 alerts, from ")  # type: ignore[attr-defined]
    lifecycle.resolve(incident=one, by=Actor(via="test"), method=ResolutionMethod.AUTO)
    (row,) = shown(responder, topic="resolved")
    assert row.shape == "M0 19v-18h4v18z"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "query",
    [
        {"severity": "odd"},
        {"started_after": "yesterday"},
        {"acknowledged": "perhaps"},
        {"search": "\x00"},
        {"run_id": "\x00"},
        {"topic": "odd"},
        {"tenant": "nobody"},
        {"category": "x" * 60},
    ],
)
def test_list_with_a_bad_filter_is_still_a_list(responder: Client, query: dict[str, str]) -> None:
    assert responder.get(reverse(LIST), query).status_code == 200


def test_staff_see_their_tenants_only(responder: Client, tenant: Tenant, other: Tenant) -> None:
    own, foreign = incident(tenant, "own"), incident(other, "foreign", run_id="r-9")
    assert shown(responder, topic="all") == [own]
    for address in ("change", "history"):
        path = reverse(f"admin:incidents_incident_{address}", args=[foreign.pk])
        assert responder.get(path).status_code == 404
    home = responder.get(reverse("admin:index"))
    assert home.context["found"].incidents == 1
    assert foreign.title not in home.content.decode()
    assert other.pk not in home.content.decode()
    for name in ("run", "failure", "violation", "evidence", "prevention", "policyrule"):
        page = responder.get(reverse(f"admin:incidents_{name}_changelist"))
        assert page.status_code == 200
        assert other.pk not in page.content.decode()


def test_staff_are_limited_by_the_database_too(
    responder: Client, tenant: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from incidents.admin.incidents import IncidentAdmin

    own = incident(tenant, "own")
    incident(other, "foreign")
    # A screen that forgets its filter.
    monkeypatch.setattr(IncidentAdmin, "get_queryset", lambda *_: Incident.objects.all())
    assert shown(responder, topic="all") == [own]


def test_staff_without_a_tenant_see_nothing(client: Client, tenant: Tenant) -> None:
    incident(tenant)
    client.force_login(person("viewer"))
    assert shown(client, topic="all") == []
    assert client.get(reverse("admin:index")).context["found"].incidents == 0


@pytest.mark.parametrize("role", ["viewer", "responder", "compliance", "administrator"])
def test_roles_open_what_they_should(client: Client, tenant: Tenant, role: str) -> None:
    user = person(role, tenant)
    client.force_login(user)
    assert client.get(reverse("admin:index")).status_code == 200
    assert client.get(reverse(LIST)).status_code == 200
    triage, administer = role in ("responder", "administrator"), role == "administrator"
    assert user.has_perm("incidents.change_incident") == triage
    assert user.has_perm("incidents.change_policyrule") == administer
    assert user.has_perm("lessons.change_proposal") == administer
    assert user.has_perm("exports.add_bundle") == (role in ("compliance", "administrator"))
    keys = client.get(reverse("admin:tenancy_apikey_changelist")).status_code
    assert keys == (200 if administer else 403)
    assert client.get(reverse("admin:auth_user_changelist")).status_code == 403
    rule = client.get(reverse("admin:incidents_policyrule_add")).status_code
    assert rule == (200 if administer else 403)


def test_administrator_issues_keys_of_their_tenants_only(
    client: Client, tenant: Tenant, other: Tenant
) -> None:
    client.force_login(person("administrator", tenant))
    form = {"name": "n", "scopes": ["read"], "expires_in_days": ""}
    address = reverse("admin:tenancy_apikey_add")
    assert client.post(address, form | {"tenant": other.pk}).status_code == 200
    assert client.post(address, form | {"tenant": tenant.pk}).status_code == 302
    change = reverse("admin:tenancy_tenant_change", args=[other.pk])
    assert client.get(change).status_code == 302


def test_saved_filters_are_a_persons_own(responder: Client, tenant: Tenant) -> None:
    address = reverse("admin:incidents_incident_views")
    responder.post(address, {"name": "Mine", "query": "topic=all&severity=high"})
    stranger = person("viewer", tenant, name="eve")
    foreign = SavedView.objects.create(user=stranger, screen="incidents", name="Hers", query="")
    page = responder.get(reverse(LIST))
    assert [view.name for view in page.context["saved_views"]] == ["Mine"]
    responder.post(address, {"forget": foreign.pk})
    assert SavedView.objects.filter(pk=foreign.pk).exists()
    responder.post(address, {"forget": page.context["saved_views"][0].pk})
    assert SavedView.objects.filter(name="Mine").count() == 0


def test_going_back_leads_to_the_list_alone(responder: Client) -> None:
    address = reverse("admin:incidents_incident_bulk", args=["acknowledge"])
    answer = responder.post(address, {"query": "https://elsewhere.example/?a=b"})
    assert answer["Location"].startswith(reverse(LIST))


def test_incident_page_costs_the_same_however_many_alerts(
    responder: Client, tenant: Tenant
) -> None:
    small, large = incident(tenant, "small"), incident(tenant, "large", calls=300, run_id="r")

    def queries(one: Incident) -> int:
        address = reverse("admin:incidents_incident_change", args=[one.pk])
        responder.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert responder.get(address).status_code == 200
        return len(captured.captured_queries)

    assert abs(queries(large) - queries(small)) <= 3
    assert queries(large) <= 40


def test_dashboard_figures_lead_to_their_lists(responder: Client, tenant: Tenant) -> None:
    incident(tenant, "one", trigger_type="freeze", category="stop", calls=12)
    incident(tenant, "two", trigger_type="freeze")
    home = responder.get(reverse("admin:index"))
    (critical, *_) = home.context["burning"]
    assert (critical["open"], critical["acknowledged"]) == (2, 0)
    assert len(responder.get(critical["href"]).context["rows"]) == 2
    (row,) = [row for row in home.context["categories"] if row["one"].category == "stop"]
    assert row["one"].calls == 12
    assert len(responder.get(row["href"]).context["rows"]) == 1
    assert home.context["found"].calls == 13
    assert sum(day.calls for day in home.context["found"].days) == 13


def test_dashboard_of_one_tenant(client: Client, tenant: Tenant, other: Tenant) -> None:
    incident(tenant)
    incident(other)
    client.force_login(person(None))
    address = reverse("admin:index")
    assert client.get(address).context["found"].incidents == 2
    one = client.get(address, {"tenant": tenant.pk})
    assert one.context["found"].incidents == 1
    assert f"tenant={tenant.pk}" in one.context["incidents_href"]


def page_of(client: Client, one: Incident) -> Any:
    answer = client.get(reverse("admin:incidents_incident_change", args=[one.pk]))
    assert answer.status_code == 200
    return answer


def test_incident_page_shows_the_steps_around_the_broken_policy(
    responder: Client, tenant: Tenant
) -> None:
    recorded = facts.violate(tenant, "run-1")
    steps = [
        StepFacts(step_index=place, timestamp=clock.now(), step_type="call") for place in range(20)
    ]
    store = {"tenant": tenant, "run_id": "run-1", "trace_id": "t", "steps": steps}
    traces.store(**store, violation_step_index=11)
    assert recorded.incident is not None
    answer = page_of(responder, recorded.incident)
    excerpt = answer.context["excerpt"]
    assert [step.step_index for step in excerpt["steps"]] == list(range(8, 15))
    assert answer.content.decode().count("fb-violating") == 1
    assert "Where the run broke a policy" in answer.content.decode()


def test_incident_page_shows_the_last_steps_of_a_failed_run(
    responder: Client, tenant: Tenant
) -> None:
    recorded = facts.fail(tenant, "run-1")
    steps = [
        StepFacts(step_index=place, timestamp=clock.now(), step_type="call") for place in range(20)
    ]
    traces.store(tenant=tenant, run_id="run-1", trace_id="t", steps=steps)
    assert recorded.incident is not None
    excerpt = page_of(responder, recorded.incident).context["excerpt"]
    assert [step.step_index for step in excerpt["steps"]] == list(range(13, 20))


def test_incident_page_folds_all_but_the_first_pieces(responder: Client, tenant: Tenant) -> None:
    for number in range(5):
        recorded = facts.fail(tenant, f"run-{number}", duration_ms=1500)
    assert recorded.incident is not None
    shown = responder.get(
        reverse("admin:incidents_incident_change", args=[recorded.incident.pk])
    ).content.decode()
    for title in ("failures-title", "evidence-title"):
        section = shown.partition(f'<h3 id="{title}"')[2].partition("</section>")[0]
        first, _, rest = section.partition('<details class="fb-rest"><summary>2 more</summary>')
        assert (first.count("<article"), rest.count("<article")) == (3, 2)


def test_facts_lead_to_their_run_and_say_units(responder: Client, tenant: Tenant) -> None:
    facts.fail(tenant, "run-1", duration_ms=61_000)
    shown = responder.get(
        reverse("admin:incidents_failure_change", args=[Failure.objects.get().pk])
    ).content.decode()
    assert f'href="{reverse("admin:incidents_run_changelist")}?q=run-1"' in shown
    assert "1 min" in shown
    assert "61000" not in shown


def test_names_are_shown_letter_by_letter(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant, "k_1", prefix="call_a", agent_id="agent_b", run_id="run_c")
    lifecycle.assign(incident=one, by=Actor(via="test"), assignee="grace_h")
    content = page_of(responder, one).content.decode()
    for name in ("call_a-k_1-0", "agent_b", "run_c", "grace_h"):
        assert name in content
        assert name.replace("_", " ") not in content


def test_overflow_says_what_it_is_and_whose_alerts_it_has(
    responder: Client, tenant: Tenant
) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(incidents_per_hour=1)
    tenant.refresh_from_db()
    incident(tenant, "first")
    over = incident(tenant, "kind_2", trigger_type="odd_one")
    assert over.trigger_type == "rate_limit_overflow"
    content = page_of(responder, over).content.decode()
    assert "as many incidents in an hour as it may" in content
    assert "odd_one" in content
    assert "kind_2" in content


def test_assigning_offers_oneself(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    address = reverse("admin:incidents_incident_act", args=[one.pk, "assign"])
    assert responder.get(address).context["form"].initial == {"assignee": "ada"}


def test_every_answer_has_a_policy(client: Client) -> None:
    assert csp.policy_of("/api/v1/whoami/").startswith("default-src 'none'")
    for path in ("/healthz", "/api/v1/whoami/", "/nowhere", "/admin/login/", "/api/docs/"):
        policy = client.get(path)[csp.HEADER]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        relaxed = path.startswith(("/admin/", "/api/docs/"))
        assert ("script-src" in policy) == relaxed
