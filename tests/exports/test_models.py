from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import QuerySet

from config import clock
from config.tenancy.models import Tenant
from exports.models import Bundle, BundleReview, SigningKey
from tests.factories.keys import key_pair

pytestmark = pytest.mark.django_db


def bundle(**changes: Any) -> Bundle:
    tenant, _ = Tenant.objects.get_or_create(id="northwind")
    pair = key_pair(7)
    key, _ = SigningKey.objects.get_or_create(
        key_id=pair.key_id, defaults={"public_pem": pair.public_pem}
    )
    fields: dict[str, Any] = {
        "tenant": tenant,
        "incident_id": clock.uuid7(),
        "bundle_type": "evidence",
        "created_by": "ada",
        "sha256": hashlib.sha256(b"{}").hexdigest(),
        "signature": b"s" * 64,
        "manifest_signature": b"m" * 64,
        "key": key,
        "document": b"{}",
        "pdf": b"%PDF",
        "conformance": "PDF/A-3b",
    }
    return Bundle.objects.create(**fields | changes)


def add_review(**fields: Any) -> BundleReview:
    reviewed = bundle()
    return BundleReview.objects.create(bundle=reviewed, tenant=reviewed.tenant, **fields)


def refused(statement: str) -> None:
    cursor = connection.cursor()
    # Rows written in this transaction would keep TRUNCATE from being tried at all.
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(DatabaseError) as refusal, transaction.atomic():
        cursor.execute(statement)
    assert refusal.value.__cause__.sqlstate == "23514"  # type: ignore[union-attr]


@pytest.mark.parametrize("table", ["exports_bundle", "exports_bundlereview"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET created_by = 'x'",
        "UPDATE {} SET created_by = 'x' WHERE false",
        "DELETE FROM {}",
        "TRUNCATE {} CASCADE",
    ],
)
def test_bundles_and_reviews_are_append_only(table: str, statement: str) -> None:
    add_review(state="accepted", created_by="grace")
    refused(statement.format(table))
    assert Bundle.objects.get().created_by == "ada"
    assert BundleReview.objects.get().created_by == "grace"


def test_bundles_are_append_only_for_the_orm() -> None:
    kept = bundle()
    for act in (kept.delete, kept.save, lambda: Bundle.objects.update(reason="x")):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"sha256": hashlib.sha256(b"{}").hexdigest().upper()},
        {"document": b"{ }"},
        {"signature": b"s" * 63},
        {"manifest_signature": b""},
        {"bundle_type": "other"},
        {"conformance": "PDF/X"},
    ],
)
def test_bundle_refuses_what_is_no_sealed_document(changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        bundle(**changes)


def test_review_refuses_an_unknown_state() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        add_review(state="perfect", created_by="grace")


def test_signing_key_can_only_be_retired() -> None:
    bundle()
    for statement in (
        "DELETE FROM exports_signingkey",
        "TRUNCATE exports_signingkey CASCADE",
        "UPDATE exports_signingkey SET public_pem = 'x'",
        "UPDATE exports_signingkey SET key_id = '0123456789abcdef'",
        "UPDATE exports_signingkey SET retired_at = now(), created_at = now()",
    ):
        refused(statement)
    SigningKey.objects.update(retired_at=clock.now())
    refused("UPDATE exports_signingkey SET retired_at = NULL")


def test_signing_key_refuses_another_kind_of_name() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        SigningKey.objects.create(key_id="../../etc/passwd", public_pem="x")


def test_without_files_reads_no_document() -> None:
    bundle()
    listed: QuerySet[Bundle] = Bundle.objects.without_files()
    assert listed.get().get_deferred_fields() == {"document", "pdf"}
