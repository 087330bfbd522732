"""Acts in the admin: through the services, under the person's name, refused as they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import EventType, ResolutionMethod, Severity, Status
from incidents.models import Event, Incident
from incidents.services import lifecycle
from tests.factories.people import incident, person

pytestmark = pytest.mark.django_db

BY = Actor(via="test", name="somebody")


def act(client: Client, one: Incident, name: str, **data: Any) -> Any:
    address = reverse("admin:incidents_incident_act", args=[one.pk, name])
    return client.post(address, {"confirm": "1", **data})


def bulk(client: Client, name: str, *many: Incident, **data: Any) -> Any:
    address = reverse("admin:incidents_incident_bulk", args=[name])
    return client.post(address, {"ids": [str(one.pk) for one in many], **data})


def latest(one: Incident) -> Event:
    return Event.objects.filter(incident=one).order_by("-created_at", "-id")[0]


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_acknowledge_names_the_person(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    answer = act(responder, one, "acknowledge")
    assert answer.status_code == 302
    one.refresh_from_db()
    assert (one.status, one.acknowledged_by) == (Status.ACKNOWLEDGED, "ada via admin")
    event = latest(one)
    assert (event.event_type, event.actor, event.via) == (EventType.ACKNOWLEDGED, "ada", "admin")


def test_acknowledge_twice_says_why_not(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    lifecycle.acknowledge(incident=one, by=BY)
    answer = act(responder, one, "acknowledge")
    assert "The incident is acknowledged: only open can become acknowledged." in said(answer)[0]
    one.refresh_from_db()
    assert one.acknowledged_by == "somebody via test"


def test_acknowledge_by_get_changes_nothing(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    responder.get(reverse("admin:incidents_incident_act", args=[one.pk, "acknowledge"]))
    one.refresh_from_db()
    assert one.status == Status.OPEN


def test_resolve_takes_the_form(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    act(responder, one, "resolve", method="rollback", type="real", summary="Rolled back.")
    one.refresh_from_db()
    assert (one.status, one.resolution_method, one.resolution_type, one.resolution_summary) == (
        Status.RESOLVED,
        "rollback",
        "real",
        "Rolled back.",
    )
    assert latest(one).actor == "ada"


def test_resolve_with_a_bad_form_asks_again(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    answer = act(responder, one, "resolve", method="magic")
    assert answer.status_code == 400
    assert b"magic is not one of the available choices" in answer.content
    one.refresh_from_db()
    assert one.status == Status.OPEN


def test_resolve_of_a_resolved_one_is_a_conflict(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.AUTO)
    answer = act(responder, one, "resolve", method="manual")
    assert said(answer)[0].startswith("Resolve: The incident is resolved")
    one.refresh_from_db()
    assert one.resolution_method == "auto"


def test_reopen_with_a_reason(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.AUTO)
    assert act(responder, one, "reopen", reason="").status_code == 400
    act(responder, one, "reopen", reason="It came back.")
    one.refresh_from_db()
    assert one.status == Status.OPEN
    assert latest(one).description == "Reopened by ada via admin: It came back."


def test_reopen_while_another_holds_the_key(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.AUTO)
    second = incident(tenant, prefix="later")
    assert second.pk != one.pk
    answer = act(responder, one, "reopen", reason="Again.")
    assert "Another unresolved incident holds" in said(answer)[0]
    one.refresh_from_db()
    assert one.status == Status.RESOLVED


def test_assign_and_unassign(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    act(responder, one, "assign", assignee="grace")
    one.refresh_from_db()
    assert one.assignee == "grace"
    act(responder, one, "assign", assignee="")
    one.refresh_from_db()
    assert one.assignee is None


def test_severity_needs_a_reason(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    assert act(responder, one, "severity", severity="low").status_code == 400
    act(responder, one, "severity", severity="low", reason="Nobody is hurt.")
    one.refresh_from_db()
    assert one.severity == Severity.LOW
    assert latest(one).description.endswith("by ada via admin: Nobody is hurt.")


def test_comment_stands_on_the_timeline(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    act(responder, one, "comment", description="Looking.")
    assert (latest(one).description, latest(one).actor) == ("Looking.", "ada")
    assert act(responder, one, "comment", description=" ").status_code == 400


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("severity", "Set the severity of this incident:"),
        ("comment", "Comment on this incident:"),
        ("assign", "Assign this incident:"),
    ],
)
def test_act_says_what_it_is_about_to_do(
    responder: Client, tenant: Tenant, name: str, words: str
) -> None:
    address = reverse("admin:incidents_incident_act", args=[incident(tenant).pk, name])
    assert words in responder.get(address).content.decode()


def test_bulk_acknowledge_reports_each(responder: Client, tenant: Tenant) -> None:
    fresh, taken = incident(tenant, "one"), incident(tenant, "two")
    lifecycle.acknowledge(incident=taken, by=BY)
    answer = bulk(responder, "acknowledge", fresh, taken)
    results = {result.incident.pk: result.error for result in answer.context["results"]}
    assert results[fresh.pk] is None
    assert results[taken.pk].code == "invalid_transition"
    fresh.refresh_from_db()
    assert fresh.acknowledged_by == "ada via admin"


def test_bulk_resolve_asks_once_for_all(responder: Client, tenant: Tenant) -> None:
    many = [incident(tenant, kind) for kind in ("one", "two")]
    asked = bulk(responder, "resolve", *many)
    assert asked.status_code == 200
    assert Incident.objects.filter(status=Status.RESOLVED).count() == 0
    bulk(responder, "resolve", *many, confirm="1", method="manual", summary="Both.")
    found = Incident.objects.filter(status=Status.RESOLVED, resolved_by="ada via admin")
    assert {one.resolution_summary for one in found} == {"Both."}
    assert len(found) == 2


def test_bulk_severity_and_assign(responder: Client, tenant: Tenant) -> None:
    many = [incident(tenant, kind) for kind in ("one", "two")]
    bulk(responder, "severity", *many, confirm="1", severity="critical", reason="All of it.")
    bulk(responder, "assign", *many, confirm="1", assignee="grace")
    assert set(Incident.objects.values_list("severity", "assignee")) == {(4, "grace")}


def test_bulk_of_several_tenants_acts_on_each(
    client: Client, tenant: Tenant, other: Tenant
) -> None:
    client.force_login(person(None))
    bulk(client, "acknowledge", incident(tenant), incident(other))
    assert set(Incident.objects.values_list("acknowledged_by", flat=True)) == {"root via admin"}


def test_bulk_of_nothing_goes_back(responder: Client) -> None:
    answer = bulk(responder, "acknowledge")
    assert answer.status_code == 302
    assert said(answer) == ["Choose 1 to 500 incidents first."]


def test_bulk_leaves_other_tenants_alone(responder: Client, tenant: Tenant, other: Tenant) -> None:
    own, foreign = incident(tenant), incident(other)
    answer = bulk(responder, "acknowledge", own, foreign)
    assert answer.status_code == 302 or answer.context["missing"] == 1
    foreign.refresh_from_db()
    assert foreign.status == Status.OPEN


def test_act_on_another_tenants_incident_is_not_found(responder: Client, other: Tenant) -> None:
    foreign = incident(other)
    for name in ("acknowledge", "resolve", "comment", "assign", "severity", "reopen"):
        assert act(responder, foreign, name).status_code == 404
    assert Event.objects.filter(incident=foreign, via="admin").count() == 0


def test_viewer_sees_but_may_not_act(client: Client, tenant: Tenant) -> None:
    client.force_login(person("viewer", tenant))
    one = incident(tenant)
    page = client.get(reverse("admin:incidents_incident_change", args=[one.pk]))
    assert page.status_code == 200
    assert page.context["acts"] == []
    assert act(client, one, "acknowledge").status_code == 403
    assert bulk(client, "acknowledge", one).status_code == 403
    one.refresh_from_db()
    assert one.status == Status.OPEN


def test_buttons_show_when_they_apply(responder: Client, tenant: Tenant) -> None:
    one = incident(tenant)
    address = reverse("admin:incidents_incident_change", args=[one.pk])

    def buttons() -> set[str]:
        return {shown.name for shown in responder.get(address).context["acts"]}

    assert buttons() == {"acknowledge", "resolve", "assign", "severity"}
    act(responder, one, "acknowledge")
    assert buttons() == {"resolve", "assign", "severity"}
    act(responder, one, "resolve", method="manual")
    assert buttons() == {"reopen", "assign", "severity"}


def test_open_by_hand(responder: Client, tenant: Tenant, other: Tenant) -> None:
    address = reverse("admin:incidents_incident_add")
    form = {"title": "Odd answers", "severity": "high", "tenant": tenant.pk}
    assert responder.post(address, form | {"tenant": other.pk}).status_code == 200
    answer = responder.post(address, form)
    assert answer.status_code == 302
    one = Incident.objects.get()
    assert (one.title, one.tenant, one.cause_type) == ("Odd answers", tenant, "human")
    assert latest(one).actor == "ada"


def test_nothing_is_edited_or_deleted(client: Client, tenant: Tenant) -> None:
    client.force_login(person(None))
    one = incident(tenant)
    client.post(reverse("admin:incidents_incident_change", args=[one.pk]), {"title": "x"})
    delete = reverse("admin:incidents_incident_delete", args=[one.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert Incident.objects.get().title == one.title
