from __future__ import annotations

import pytest

from config.tenancy.models import Tenant
from incidents.models import Event, Incident
from incidents.services import reads, signatures
from incidents.services.signatures import Failure
from tests.factories.facts import make_incident
from tests.factories.tenancy import TenantFactory


def signature(tenant_id: str = "acme", **given: str) -> str:
    values = {"trigger_type": "t", "group_key": "g", "error_code": "E", "message": "m", **given}
    return signatures.of(tenant_id=tenant_id, failure=Failure(**values))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Timeout after 300 ms", "timeout  after 1200 ms"),
        (
            "no row 7f3e9c1a-0000-4000-8000-00000000000a here",
            "no row 11111111-2222-4333-8444-555555555555 here",
        ),
        ("call req-81f3 at 2026-01-31T12:00:00Z failed", "call req-9 at 2025-02-01 failed"),
        ("port (8080) refused", "port (9) refused"),
    ],
)
def test_of_takes_ids_and_numbers_out_of_the_message(one: str, other: str) -> None:
    assert signature(message=one) == signature(message=other)


def test_of_differs_where_any_part_differs() -> None:
    assert signature() == signature()
    assert signature().startswith("v1:")
    others = [
        signature(tenant_id="acme2"),
        signature(trigger_type="tg", group_key=""),
        signature(group_key="h"),
        signature(error_code="F"),
        signature(message="n"),
    ]
    assert len({signature(), *others}) == 6


def test_explain_says_what_it_goes_by() -> None:
    said = signatures.explain(
        Failure(trigger_type="t", group_key="", error_code="E", message="Lost 12 rows")
    )
    assert 'error code E and the message "lost # rows", ids and numbers taken out' in said


@pytest.mark.django_db
def test_an_incident_has_the_signature_of_its_first_report() -> None:
    tenant: Tenant = TenantFactory.create()
    first = make_incident(tenant, group_key="a", error_code="E", error_message="lost 1")
    with_group = make_incident(tenant, group_key="b", error_code="E", error_message="lost 1")
    assert first.signature
    assert first.signature != with_group.signature
    explained = signatures.explain_incident(first)
    assert explained
    assert Event.objects.get(incident=first).data["signature"] == explained


@pytest.mark.django_db
def test_recurrences_are_the_others_of_the_signature() -> None:
    tenant: Tenant = TenantFactory.create()
    first = make_incident(tenant, error_message="lost 1")
    first.__class__.objects.filter(pk=first.pk).update(
        status="resolved", resolved_at=first.created_at, resolution_method="manual"
    )
    again = make_incident(tenant, error_message="lost 2")
    other = make_incident(tenant, group_key="x", error_message="lost 2")
    foreign = make_incident(TenantFactory.create(), error_message="lost 2")
    assert recurring(again) == [str(first.pk)]
    assert recurring(other) == []
    assert recurring(foreign) == []


def recurring(incident: Incident) -> list[str]:
    narrowing = signatures.recurrences(incident=incident)
    found = reads.page(
        tenant=incident.tenant_id, narrowing=narrowing, ordering="-created_at", size=9
    )
    return [row["id"] for row in found]
