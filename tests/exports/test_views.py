from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from config import clock
from config.actors import COMMAND_LINE
from config.operations.models import AuditEvent
from config.tenancy.models import Tenant
from exports.models import Bundle, SigningKey
from exports.services import keys, verification
from incidents.models import Incident
from tests.config.api.conftest import ApiClient
from tests.factories import exporting as scenarios
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

EXPORTS = "/api/v1/exports/"
KINDS = ("evidence", "soc2", "executive_debrief")
FORMS = {"json": "application/json", "pdf": "application/pdf", "zip": "application/zip"}


@pytest.fixture
def incident(tenant: Tenant) -> Incident:
    return scenarios.everything(tenant)


@pytest.fixture
def other(call: Callable[..., ApiClient]) -> ApiClient:
    """A key of another tenant."""
    return call(of=TenantFactory.create())


def post(client: ApiClient, address: str, body: Any, **options: Any) -> Any:
    return client.post(address, json.dumps(body), content_type="application/json", **options)


def export(client: ApiClient, incident: Incident, kind: str = "evidence", **more: Any) -> Any:
    return post(client, EXPORTS, {"incident_id": str(incident.pk), "bundle_type": kind, **more})


def verify(client: ApiClient, file: bytes, kind: str, **options: Any) -> Any:
    return client.post(f"{EXPORTS}verify/", file, content_type=FORMS[kind], **options)


@pytest.mark.parametrize("kind", KINDS)
def test_create_makes_a_bundle_that_verifies(api: ApiClient, incident: Incident, kind: str) -> None:
    made = export(api, incident, kind, export_reason="Quarterly review")
    assert made.status_code == 201, made.content
    row = made.json()
    assert row["bundle_type"] == kind
    assert row["incident_id"] == str(incident.pk)
    assert (row["created_by"], row["export_reason"]) == (api.key.name, "Quarterly review")
    assert row["pdf_conformance"] == "PDF/A-3b"
    assert row["notice"] == f"Signing key {row['key_id']} was made for this export."
    for form, media_type in FORMS.items():
        file = api.get(f"{EXPORTS}{row['id']}/download/?as={form}")
        assert file.status_code == 200
        assert file["Content-Type"] == media_type
        assert file["Content-Disposition"].endswith(f'{row["id"]}.{form}"')
        if form == "pdf":
            assert file.content.startswith(b"%PDF-")
            continue
        found = verify(api, file.content, form).json()
        assert found["verified"], found
        assert found["subject"]["bundle_id"] == row["id"]
        assert found["subject"]["sha256"] == row["sha256"]
    # The key that was made is used again, and nothing is said of it.
    assert export(api, incident, kind).json()["notice"] is None


def test_create_says_who_asked_for_what_and_why(api: ApiClient, incident: Incident) -> None:
    made = export(
        api,
        incident,
        "soc2",
        prepared_for="The auditor",
        auditor_notes="Look at CC7.4.",
        compliance_period_start="2026-10-01T00:00:00Z",
        compliance_period_end="2027-01-01T02:00:00+02:00",
        export_reason="Audit",
        include_raw_steps=True,
    ).json()
    bundle = api.get(f"{EXPORTS}{made['id']}/download/").json()["bundle"]
    assert (bundle["requested_by"], bundle["reason"]) == (api.key.name, "Audit")
    assert (bundle["prepared_for"], bundle["auditor_notes"]) == ("The auditor", "Look at CC7.4.")
    assert bundle["period"] == {"start": "2026-10-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
    assert bundle["runs"][0]["trace"]["steps"][0]["content"] == scenarios.CONTENTS[0]
    assert [control["id"] for control in bundle["controls"]] == [
        "CC7.2",
        "CC7.3",
        "CC7.4",
        "CC7.5",
    ]
    assert {control["status"] for control in bundle["controls"]} == {"demonstrated"}
    event = AuditEvent.objects.get(action="bundle exported")
    assert (event.tenant_id, event.via, event.target) == (
        api.tenant.pk,
        api.key.name,
        f"bundle {made['id']}",
    )
    assert event.data["sha256"] == made["sha256"]


def test_create_cannot_show_recovery_of_an_open_incident(api: ApiClient, tenant: Tenant) -> None:
    made = export(api, scenarios.opened(tenant), "soc2").json()
    bundle = api.get(f"{EXPORTS}{made['id']}/download/").json()["bundle"]
    status = {control["id"]: control["status"] for control in bundle["controls"]}
    assert status == {
        "CC7.2": "partial",
        "CC7.3": "no_evidence",
        "CC7.4": "no_evidence",
        "CC7.5": "no_evidence",
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"bundle_type": "summary"}, "/bundle_type"),
        ({"bundle_type": None}, "/bundle_type"),
        ({"incident_id": "1"}, "/incident_id"),
        ({"include_raw_steps": "yes"}, "/include_raw_steps"),
        ({"export_reason": "x" * 2001}, "/export_reason"),
        ({"compliance_period_start": "2026-10-01"}, "/compliance_period_start"),
        ({"compliance_period_start": "2026-10-01T00:00:00Z"}, "/compliance_period_end"),
        ({"compliance_period_end": "2026-10-01T00:00:00Z"}, "/compliance_period_start"),
        (
            {
                "compliance_period_start": "2026-10-01T00:00:00Z",
                "compliance_period_end": "2026-10-01T00:00:00Z",
            },
            "/compliance_period_end",
        ),
        ({"tenant": "x"}, "/tenant"),
        ({"created_by": "somebody else"}, "/created_by"),
    ],
    ids=str,
)
def test_create_refuses_what_is_wrong_by_its_place(
    api: ApiClient, incident: Incident, body: dict[str, Any], pointer: str
) -> None:
    answer = post(api, EXPORTS, {"incident_id": str(incident.pk), "bundle_type": "evidence"} | body)
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not Bundle.objects.exists()


def test_create_happens_once_for_an_idempotency_key(api: ApiClient, incident: Incident) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"incident_id": str(incident.pk), "bundle_type": "evidence"}
    first, second = (post(api, EXPORTS, body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Bundle.objects.count() == 1


def test_create_keeps_nothing_when_it_cannot_sign(
    api: ApiClient, incident: Incident, settings: Any
) -> None:
    settings.SIGNING_KEY = "not a key"
    answer = export(api, incident)
    assert (answer.status_code, answer.json()["code"]) == (409, "signing_key_unavailable")
    assert not Bundle.objects.exists()
    assert not AuditEvent.objects.filter(action="bundle exported").exists()


@pytest.mark.parametrize("form", FORMS)
def test_download_gives_the_same_bytes_for_ever(
    api: ApiClient, incident: Incident, form: str
) -> None:
    made = export(api, incident).json()
    address = f"{EXPORTS}{made['id']}/download/?as={form}"
    first = api.get(address).content
    # Whatever comes after: a lesson, a new key, a review, another export, years.
    scenarios.lesson(incident, lesson_type="critical_success")
    Incident.objects.filter(pk=incident.pk).update(title="Renamed", resolution_summary="Other")
    keys.rotate(by=COMMAND_LINE)
    post(api, f"{EXPORTS}{made['id']}/reviews/", {"state": "accepted"})
    export(api, incident)
    with clock.pretend(scenarios.NOW.replace(year=2040)):
        # The key of the call was issued before, and does not expire.
        assert api.get(address).content == first
    if form != "pdf":
        assert verify(api, first, form).json()["verified"]


def test_download_takes_any_accept_and_no_other_form(api: ApiClient, incident: Incident) -> None:
    made = export(api, incident).json()
    address = f"{EXPORTS}{made['id']}/download/"
    assert api.get(f"{address}?as=pdf", headers={"Accept": "application/pdf"}).status_code == 200
    assert api.get(f"{address}?as=doc").status_code == 400
    assert api.get(address)["Content-Type"] == "application/json"


def test_list_shows_the_tenants_own_exports(
    api: ApiClient, other: ApiClient, incident: Incident
) -> None:
    mine = [export(api, incident, kind).json()["id"] for kind in KINDS]
    export(other, scenarios.opened(other.tenant))
    listed = api.get(EXPORTS).json()["results"]
    assert [row["id"] for row in listed] == mine[::-1]
    assert "document" not in listed[0]
    assert [row["id"] for row in api.get(f"{EXPORTS}?bundle_type=soc2").json()["results"]] == [
        mine[1]
    ]
    assert api.get(f"{EXPORTS}?incident_id={clock.uuid7()}").json()["results"] == []
    assert len(api.get(f"{EXPORTS}?incident_id={incident.pk}").json()["results"]) == 3
    assert api.get(f"{EXPORTS}?bundle_type=x").status_code == 400


def test_another_tenant_finds_nothing(api: ApiClient, other: ApiClient, incident: Incident) -> None:
    made = export(api, incident).json()
    address = f"{EXPORTS}{made['id']}/"
    nowhere = f"{EXPORTS}{clock.uuid7()}/"
    for what in ("", "download/", "download/?as=zip", "reviews/"):
        answer, nothing = other.get(f"{address}{what}"), other.get(f"{nowhere}{what}")
        assert answer.status_code == 404
        assert answer.json() == nothing.json()
    review = post(other, f"{address}reviews/", {"state": "rejected"})
    assert review.status_code == 404
    assert export(other, incident).status_code == 404
    assert export(other, incident).json() == export(other, Incident(pk=clock.uuid7())).json()
    assert other.get(EXPORTS).json()["results"] == []
    assert other.get(f"{EXPORTS}?incident_id={incident.pk}").json()["results"] == []
    assert Bundle.objects.count() == 1


def test_verify_says_nothing_of_another_tenants_bundle(
    api: ApiClient, other: ApiClient, incident: Incident
) -> None:
    made = export(api, incident).json()
    for form in ("json", "zip"):
        file = api.get(f"{EXPORTS}{made['id']}/download/?as={form}").content
        found = verify(other, file, form).json()
        assert not found["verified"]
        assert found["subject"] is None
        assert found["failure"]["name"] == "tenant"


def test_verify_names_the_first_thing_that_does_not_hold(
    api: ApiClient, incident: Incident
) -> None:
    made = export(api, incident).json()
    file = api.get(f"{EXPORTS}{made['id']}/download/").content
    changed = file.replace(b'"severity":"medium"', b'"severity":"low"')
    assert changed != file
    found = verify(api, changed, "json").json()
    assert (found["verified"], found["failure"]["name"], found["subject"]) == (False, "hash", None)
    assert [check["ok"] for check in found["checks"]][-1] is False
    assert found["failure"]["detail"].endswith("kept here first at /incident/severity.")


def test_verify_compares_with_nothing_but_the_tenants_own_export(
    api: ApiClient, other: ApiClient, incident: Incident
) -> None:
    made = export(api, incident).json()
    file = api.get(f"{EXPORTS}{made['id']}/download/").content
    changed = file.replace(b'"severity":"medium"', b'"severity":"low"')
    said = verify(other, changed, "json").json()["failure"]
    assert (said["name"], "kept here" in said["detail"]) == ("hash", False)
    for id_ in ("nobody", str(clock.uuid7())):
        renamed = file.replace(f'"id":"{made["id"]}"'.encode(), f'"id":"{id_}"'.encode())
        assert renamed != file
        said = verify(api, renamed, "json").json()["failure"]
        assert (said["name"], "kept here" in said["detail"]) == ("hash", False)
    resealed = file.replace(made["sha256"].encode(), b"0" * 64)
    said = verify(api, resealed, "json").json()["failure"]
    assert said["detail"].startswith("/seal/sha256 was changed")


def test_verify_takes_gzip_and_refuses_what_is_no_file(api: ApiClient, incident: Incident) -> None:
    made = export(api, incident).json()
    file = api.get(f"{EXPORTS}{made['id']}/download/?as=zip").content
    headers = {"Content-Encoding": "gzip"}
    assert verify(api, gzip.compress(file), "zip", headers=headers).json()["verified"]
    assert verify(api, file, "zip", headers=headers).status_code == 400
    assert verify(api, file, "pdf").status_code == 415
    for kind in ("json", "zip"):
        for body in (b" ", b"[]", b"{", b"PK\x03\x04", b"\xff\xfe", b"{}" * 10):
            answer = verify(api, body, kind)
            assert answer.status_code == 200
            assert not answer.json()["verified"]
    bomb = gzip.compress(b" " * (16 * 1024 * 1024 + 1))
    answer = verify(api, bomb, "json", headers=headers)
    assert answer.status_code == 413
    assert "verify_bundle" in answer.json()["detail"]


def test_verify_never_trusts_the_key_inside(api: ApiClient, incident: Incident) -> None:
    made = export(api, incident).json()
    file = api.get(f"{EXPORTS}{made['id']}/download/?as=zip").content
    assert verification.verify(file, public_keys=keys.installed()).ok
    found = verification.verify(file, public_keys={})
    assert found.failure is not None
    assert found.failure.name == "key"


def test_keys_are_public_halves_alone(api: ApiClient, incident: Incident) -> None:
    assert api.get(f"{EXPORTS}keys/").json()["results"] == []
    made = export(api, incident).json()
    keys.rotate(by=COMMAND_LINE)
    new, old = api.get(f"{EXPORTS}keys/").json()["results"]
    assert (old["key_id"], new["retired_at"]) == (made["key_id"], None)
    assert old["retired_at"] is not None
    assert old["fingerprint"].startswith(old["key_id"])
    assert old["public_pem"].startswith("-----BEGIN PUBLIC KEY-----")
    assert set(old) == {
        "key_id",
        "algorithm",
        "fingerprint",
        "public_pem",
        "created_at",
        "retired_at",
    }
    assert SigningKey.objects.count() == 2


def test_review_appends_beside_the_bundle(api: ApiClient, incident: Incident) -> None:
    made = export(api, incident).json()
    address = f"{EXPORTS}{made['id']}/"
    first = post(api, f"{address}reviews/", {"state": "changes_requested", "notes": "Run b?"})
    assert first.status_code == 201
    post(api, f"{address}reviews/", {"state": "accepted"})
    listed = api.get(f"{address}reviews/").json()["results"]
    assert [row["state"] for row in listed] == ["accepted", "changes_requested"]
    assert {row["created_by"] for row in listed} == {api.key.name}
    assert api.get(address).json()["reviews"] == listed
    assert api.get(address).json()["sha256"] == made["sha256"]
    assert post(api, f"{address}reviews/", {"state": "great"}).status_code == 400
    assert api.delete(address).status_code == 405
