import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

import config.clock


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenancy", "0001_tenants_keys_idempotency"),
    ]

    operations = [
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                (
                    "key_id",
                    models.CharField(
                        db_collation="C",
                        editable=False,
                        max_length=16,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("public_pem", models.TextField(editable=False)),
                ("created_at", models.DateTimeField(default=config.clock.now, editable=False)),
                ("retired_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "ordering": ["-created_at", "key_id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("key_id__regex", "^[0-9a-f]{16}$")),
                        name="signing_key_id_shape",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Bundle",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=config.clock.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("incident_id", models.UUIDField(editable=False)),
                (
                    "bundle_type",
                    models.CharField(
                        choices=[
                            ("evidence", "Evidence"),
                            ("soc2", "SOC 2"),
                            ("executive_debrief", "Executive debrief"),
                        ],
                        editable=False,
                        max_length=20,
                    ),
                ),
                ("created_at", models.DateTimeField(default=config.clock.now, editable=False)),
                ("created_by", models.CharField(editable=False, max_length=250)),
                ("reason", models.TextField(blank=True, default="", editable=False)),
                (
                    "sha256",
                    models.CharField(
                        db_collation="C", editable=False, max_length=64, verbose_name="SHA-256"
                    ),
                ),
                ("signature", models.BinaryField(max_length=64)),
                ("manifest_signature", models.BinaryField(max_length=64)),
                ("document", models.BinaryField()),
                ("pdf", models.BinaryField()),
                (
                    "conformance",
                    models.CharField(
                        choices=[("PDF/A-3b", "PDF/A-3b"), ("PDF 1.7", "PDF 1.7")],
                        editable=False,
                        max_length=10,
                    ),
                ),
                ("notice", models.TextField(blank=True, default="", editable=False)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bundles",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bundles",
                        to="exports.signingkey",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(
                        fields=["tenant", "-created_at", "-id"], name="bundle_tenant_recent"
                    ),
                    models.Index(fields=["tenant", "incident_id"], name="bundle_incident"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("bundle_type__in", ["evidence", "soc2", "executive_debrief"])
                        ),
                        name="bundle_type_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("conformance__in", ["PDF/A-3b", "PDF 1.7"])),
                        name="bundle_conformance_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "sha256",
                                models.Func(
                                    models.Func("document", function="sha256"),
                                    models.Value("hex"),
                                    function="encode",
                                    output_field=models.TextField(),
                                ),
                            )
                        ),
                        name="bundle_sha256_of_document",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Length("signature"), 64
                            ),
                            django.db.models.lookups.Exact(
                                django.db.models.functions.text.Length("manifest_signature"), 64
                            ),
                        ),
                        name="bundle_signature_lengths",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BundleReview",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=config.clock.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("in_review", "In Review"),
                            ("accepted", "Accepted"),
                            ("changes_requested", "Changes Requested"),
                            ("rejected", "Rejected"),
                        ],
                        max_length=20,
                    ),
                ),
                ("notes", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(default=config.clock.now, editable=False)),
                ("created_by", models.CharField(editable=False, max_length=250)),
                (
                    "bundle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="exports.bundle",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at", "-id"],
                "indexes": [
                    models.Index(
                        fields=["bundle", "-created_at", "-id"], name="bundle_review_recent"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                ["in_review", "accepted", "changes_requested", "rejected"],
                            )
                        ),
                        name="bundle_review_state_known",
                    )
                ],
            },
        ),
    ]
