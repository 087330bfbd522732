"""Exports, reviews and keys, as callers send and see them."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from config.api.fields import StrictBoolean, StrictChar, StrictChoice, Timestamp, Uuid
from config.api.serializers import StrictSerializer
from exports.enums import BundleType, Conformance, ReviewState
from exports.models import Bundle, BundleReview, SigningKey
from exports.services import keys
from exports.services.verification import Verification


class ExportBody(StrictSerializer):
    """What to export, and why. A period has a start and an end, its end not included."""

    example: ClassVar[dict[str, Any]] = {
        "incident_id": "0190a5f0-0000-7000-8000-000000000001",
        "bundle_type": "evidence",
        "export_reason": "The quarterly review",
    }

    incident_id = Uuid()
    bundle_type = StrictChoice(BundleType.choices)
    export_reason = StrictChar(max_length=2000, min_length=0, required=False, allow_null=True)
    include_raw_steps = StrictBoolean(
        required=False,
        allow_null=True,
        help_text="Also the contents of trace steps, not only their hashes.",
    )
    prepared_for = StrictChar(max_length=200, min_length=0, required=False, allow_null=True)
    compliance_period_start = Timestamp(required=False, allow_null=True)
    compliance_period_end = Timestamp(required=False, allow_null=True)
    auditor_notes = StrictChar(max_length=10_000, min_length=0, required=False, allow_null=True)


class ReviewBody(StrictSerializer):
    """What a reviewer says; appended beside the bundle."""

    example: ClassVar[dict[str, Any]] = {"state": "accepted", "notes": "Complete."}

    state = StrictChoice(ReviewState.choices)
    notes = StrictChar(max_length=10_000, min_length=0, required=False, allow_null=True)


class BundleRow(serializers.Serializer):
    """A bundle as it is kept, without its files. ``sha256`` and ``signature`` are over its JSON."""

    id = serializers.UUIDField()
    incident_id = serializers.UUIDField()
    bundle_type = serializers.ChoiceField(BundleType.choices)
    created_at = Timestamp()
    created_by = serializers.CharField(help_text="The person or the key that asked.")
    export_reason = serializers.CharField(allow_null=True)
    sha256 = serializers.CharField()
    key_id = serializers.CharField()
    algorithm = serializers.ChoiceField([keys.ALGORITHM])
    pdf_conformance = serializers.ChoiceField(Conformance.choices)
    pdf_notice = serializers.CharField(
        allow_null=True, help_text="What the first page says when it is not PDF/A-3b."
    )

    def to_representation(self, instance: Bundle) -> dict[str, Any]:
        return {
            "id": instance.pk,
            "incident_id": instance.incident_id,
            "bundle_type": instance.bundle_type,
            "created_at": instance.created_at,
            "created_by": instance.created_by,
            "export_reason": instance.reason or None,
            "sha256": instance.sha256,
            "key_id": instance.key_id,
            "algorithm": keys.ALGORITHM,
            "pdf_conformance": instance.conformance,
            "pdf_notice": instance.notice or None,
        }


class ReviewRow(serializers.Serializer):
    """What a reviewer said at one moment; a later word is a later row."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(ReviewState.choices)
    notes = serializers.CharField(allow_blank=True)
    created_at = Timestamp()
    created_by = serializers.CharField()

    def to_representation(self, instance: BundleReview) -> dict[str, Any]:
        return {
            "id": instance.pk,
            "state": instance.state,
            "notes": instance.notes,
            "created_at": instance.created_at,
            "created_by": instance.created_by,
        }


class BundleDetail(BundleRow):
    """A bundle with what reviewers said of it, latest first."""

    reviews = ReviewRow(many=True)

    def to_representation(self, instance: Bundle) -> dict[str, Any]:
        reviews = [ReviewRow(review).data for review in instance.reviews.all()]
        return super().to_representation(instance) | {"reviews": reviews}


class BundleCreated(BundleDetail):
    """A bundle that was just made. ``notice`` says when a signing key was made for it."""

    notice = serializers.CharField(allow_null=True)


class KeyRow(serializers.Serializer):
    """A public key. ``fingerprint`` is SHA-256 over its DER form; ``key_id`` begins it."""

    key_id = serializers.CharField()
    algorithm = serializers.ChoiceField([keys.ALGORITHM])
    fingerprint = serializers.CharField()
    public_pem = serializers.CharField()
    created_at = Timestamp()
    retired_at = Timestamp(allow_null=True)

    def to_representation(self, instance: SigningKey) -> dict[str, Any]:
        return {
            "key_id": instance.key_id,
            "algorithm": keys.ALGORITHM,
            "fingerprint": keys.fingerprint(keys.parse_public(instance.public_pem)),
            "public_pem": instance.public_pem,
            "created_at": instance.created_at,
            "retired_at": instance.retired_at,
        }


class CheckRow(serializers.Serializer):
    name = serializers.CharField()
    ok = serializers.BooleanField()
    detail = serializers.CharField()


class SubjectRow(serializers.Serializer):
    """What the signature says that the file is."""

    bundle_id = serializers.CharField()
    bundle_type = serializers.CharField()
    tenant_id = serializers.CharField()
    incident_id = serializers.CharField()
    generated_at = serializers.CharField()
    key_id = serializers.CharField()
    sha256 = serializers.CharField()


class VerificationAnswer(serializers.Serializer):
    """What was checked, in order. ``failure`` is the first thing that does not hold, and the last
    that was looked at; ``subject`` is null unless all holds.
    """

    verified = serializers.BooleanField()
    kind = serializers.ChoiceField(["json", "zip"], allow_null=True)
    failure = CheckRow(allow_null=True)
    subject = SubjectRow(allow_null=True)
    checks = CheckRow(many=True)

    def to_representation(self, instance: Verification) -> dict[str, Any]:
        failure = instance.failure
        whole = instance.ok and instance.subject is not None
        return {
            "verified": instance.ok,
            "kind": instance.kind,
            "failure": CheckRow(failure).data if failure else None,
            "subject": SubjectRow(instance.subject).data if whole else None,
            "checks": CheckRow(instance.checks, many=True).data,
        }
