"""Bundles as they were exported, what reviewers said of them, and the keys that sealed them.

Bundles and reviews are append-only, and a key can only be retired: triggers in the migrations
hold this. A bundle's document is kept as the bytes that were signed, never as rows to be
rendered again, so that it downloads the same for ever.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Length

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from exports.enums import BundleType, Conformance, ReviewState
from exports.querysets import BundleQuerySet

SIGNATURE_BYTES = 64


class SigningKey(models.Model):
    """The public half of a key that bundles are or were signed with; it is never deleted.

    ``key_id`` is the first 16 hexadecimal digits of the SHA-256 of the key's DER form.
    """

    key_id = models.CharField(primary_key=True, max_length=16, db_collation="C", editable=False)
    public_pem = models.TextField(editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "key_id"]
        constraints = [
            # The id stands in seals and in file names of the key directory.
            models.CheckConstraint(
                name="signing_key_id_shape", condition=models.Q(key_id__regex=r"^[0-9a-f]{16}$")
            ),
        ]

    def __str__(self) -> str:
        return self.key_id


class Bundle(models.Model):
    """An exported, signed document about one incident.

    ``document`` is the RFC 8785 form of the bundle, over which ``sha256`` and ``signature`` are
    made. ``manifest_signature`` covers the payload manifest of the ZIP, and so the PDF.
    ``created_by`` names the person or the key that asked.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="bundles")
    incident_id = models.UUIDField(editable=False)
    bundle_type = models.CharField(max_length=20, choices=BundleType.choices, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=300, editable=False)
    reason = models.TextField(blank=True, default="", editable=False)
    sha256 = models.CharField("SHA-256", max_length=64, db_collation="C", editable=False)
    signature = models.BinaryField(max_length=SIGNATURE_BYTES, editable=False)
    manifest_signature = models.BinaryField(max_length=SIGNATURE_BYTES, editable=False)
    key = models.ForeignKey(
        SigningKey, on_delete=models.PROTECT, related_name="bundles", editable=False
    )
    document = models.BinaryField(editable=False)
    pdf = models.BinaryField(editable=False)
    conformance = models.CharField(max_length=10, choices=Conformance.choices, editable=False)
    notice = models.TextField(blank=True, default="", editable=False)

    objects = BundleQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            # The tenant's list of exports, newest first, and its cursor pages.
            models.Index(fields=["tenant", "-created_at", "-id"], name="bundle_tenant_recent"),
            # The exports of one incident.
            models.Index(fields=["tenant", "incident_id"], name="bundle_incident"),
        ]
        constraints = [
            # Serializers and templates switch on the type.
            models.CheckConstraint(
                name="bundle_type_known",
                condition=models.Q(bundle_type__in=BundleType.values),
            ),
            models.CheckConstraint(
                name="bundle_conformance_known",
                condition=models.Q(conformance__in=Conformance.values),
            ),
            # Promise 10: what is stored is what was hashed.
            models.CheckConstraint(
                name="bundle_sha256_of_document",
                condition=models.Q(
                    sha256=models.Func(
                        models.Func("document", function="sha256"),
                        models.Value("hex"),
                        function="encode",
                        output_field=models.TextField(),
                    )
                ),
            ),
            models.CheckConstraint(
                name="bundle_signature_lengths",
                condition=models.Q(
                    models.lookups.Exact(Length("signature"), SIGNATURE_BYTES),
                    models.lookups.Exact(Length("manifest_signature"), SIGNATURE_BYTES),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bundle_type} {self.id}"


class BundleReview(models.Model):
    """What a reviewer said of a bundle at one moment; a later word is a later row."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    bundle = models.ForeignKey(
        Bundle, on_delete=models.PROTECT, related_name="reviews", db_index=False
    )
    state = models.CharField(max_length=20, choices=ReviewState.choices)
    notes = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=300, editable=False)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            # The reviews of a bundle, latest first.
            models.Index(fields=["bundle", "-created_at", "-id"], name="bundle_review_recent"),
        ]
        constraints = [
            models.CheckConstraint(
                name="bundle_review_state_known",
                condition=models.Q(state__in=ReviewState.values),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.created_at:%Y-%m-%d}"
