from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from config import clock
from config.actors import COMMAND_LINE, Actor
from config.errors import Invalid
from config.tenancy.models import Tenant
from exports.errors import BundleNotFound
from exports.models import Bundle, SigningKey
from exports.services import attestation, downloads, files, issuing, keys, reviews, verification
from tests.factories import bundles

pytestmark = pytest.mark.django_db
GRACE = Actor(via="key", name="grace")


@pytest.fixture
def tenant() -> Tenant:
    return Tenant.objects.create(id="northwind", name="Northwind Traders")


def issue(tenant: Tenant, kind: str = "evidence") -> Bundle:
    key = keys.current()
    document: Any = bundles.KINDS[kind]()
    document["attestation"] = attestation.compose(signer="Firebreak", key=key, checks=[])
    at = datetime.fromisoformat(document["generated_at"])
    return issuing.issue(tenant=tenant, document=document, key=key, at=at)


@pytest.mark.parametrize("kind", bundles.KINDS)
def test_issue_keeps_a_bundle_that_verifies(tenant: Tenant, kind: str) -> None:
    issued = issue(tenant, kind)
    kept = Bundle.objects.get(pk=issued.pk)
    assert (kept.created_by, kept.reason) == (
        "Ada Lovelace (key: compliance)",
        "Quarterly review of the October outage",
    )
    for form in ("json", "zip"):
        file = downloads.download(bundle=kept, form=form)  # type: ignore[arg-type]
        found = verification.verify(file.content, public_keys=keys.installed())
        assert found.ok, found.failure
        assert found.subject is not None
        assert found.subject.bundle_id == str(kept.pk)
    assert downloads.download(bundle=kept, form="pdf").content[:5] == b"%PDF-"


@pytest.mark.parametrize("form", ["json", "pdf", "zip"])
def test_download_is_the_same_after_the_key_was_rotated(
    tenant: Tenant, form: downloads.Form
) -> None:
    issued = issue(tenant)
    before = downloads.download(bundle=Bundle.objects.get(), form=form)
    keys.rotate(by=COMMAND_LINE)
    after = downloads.download(bundle=Bundle.objects.get(), form=form)
    assert before == after
    assert after.name == f"firebreak-evidence-{issued.pk}.{form}"
    if form != "pdf":
        assert verification.verify(after.content, public_keys=keys.installed()).ok


def test_download_as_json_carries_the_seal(tenant: Tenant) -> None:
    issued = issue(tenant)
    file = downloads.download(bundle=issued, form="json")
    assert json.loads(file.content)["seal"]["sha256"] == issued.sha256
    assert file.media_type == "application/json"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("much", [True, False])
def test_a_connection_that_carried_much_is_closed_after_the_request(
    monkeypatch: pytest.MonkeyPatch, much: bool
) -> None:
    monkeypatch.setattr(files, "_MUCH", 1_000 if much else 10**9)
    kept = issue(Tenant.objects.create(id="northwind", name="Northwind Traders"))
    connection.close_if_unusable_or_obsolete()
    assert (connection.connection is None) == much
    files.read("document", tenant_id="northwind", bundle_id=kept.pk)
    connection.close_if_unusable_or_obsolete()
    assert (connection.connection is None) == much


def test_read_tells_of_a_bundle_that_is_gone(tenant: Tenant) -> None:
    with pytest.raises(BundleNotFound):
        files.read("pdf", tenant_id=tenant.pk, bundle_id=clock.uuid7())


def test_issue_refuses_a_document_that_names_another_key_or_tenant(tenant: Tenant) -> None:
    key = keys.current()
    document: Any = bundles.evidence()
    at = datetime.fromisoformat(document["generated_at"])
    with pytest.raises(ValueError, match="another key"):
        issuing.issue(tenant=tenant, document=document, key=key, at=at)
    document["attestation"] = attestation.compose(signer="x", key=key, checks=[])
    document["tenant"] = {"id": "southwind", "name": ""}
    with pytest.raises(ValueError, match="another tenant"):
        issuing.issue(tenant=tenant, document=document, key=key, at=at)
    assert not Bundle.objects.exists()


def test_add_appends_a_review(tenant: Tenant) -> None:
    issued = issue(tenant)
    reviews.add(bundle=issued, state="changes_requested", notes="Where is run b?", by=GRACE)
    reviews.add(bundle=issued, state="accepted", notes="", by=GRACE)
    assert [review.state for review in issued.reviews.all()] == ["accepted", "changes_requested"]
    assert {review.created_by for review in issued.reviews.all()} == {"grace via key"}
    with pytest.raises(Invalid, match="Must be one of"):
        reviews.add(bundle=issued, state="great", notes="", by=GRACE)


def test_hashes_says_what_was_checked() -> None:
    good = attestation.hashes("step hashes", "steps", matching=7, total=7)
    assert good["passed"]
    assert good["detail"] == "7 of 7 steps have the SHA-256 that was kept with them."
    assert not attestation.hashes("step hashes", "steps", matching=6, total=7)["passed"]
    none = attestation.hashes("step hashes", "steps", matching=0, total=0)
    assert none["detail"] == "There were no steps to check."


def test_issue_names_the_key_it_signed_with(tenant: Tenant) -> None:
    assert issue(tenant).key == SigningKey.objects.get()
