"""Evidence: payloads bound to an incident or to the fact that they were captured with."""

from __future__ import annotations

from typing import Any, ClassVar

import rfc8785
from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value: what is stored, and what is hashed."""
    return rfc8785.dumps(value)


class CanonicalJsonField(models.JSONField):
    """JSON kept as its canonical text (type ``json``: ``jsonb`` would write it anew).

    ``column::text`` is byte for byte what a hash was made over.
    """

    def db_type(self, connection: Any) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return canonical(value).decode()

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value  # the driver has read it


class Evidence(models.Model):
    """A payload bound to an incident, a run, a failure or a violation; append-only.

    ``sha256`` is over the UTF-8 bytes of the canonical form of ``data``, which is how it is
    stored. ``recovery_executed`` says that it is of an attempt to recover. ``actor`` is the
    person as the caller named them, ``via`` what it came through.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.PROTECT,
        related_name="evidence",
        null=True,
        db_index=False,
    )
    failure = models.ForeignKey(
        "incidents.Failure",
        on_delete=models.PROTECT,
        related_name="evidence",
        null=True,
        db_index=False,
    )
    violation = models.ForeignKey(
        "incidents.Violation",
        on_delete=models.PROTECT,
        related_name="evidence",
        null=True,
        db_index=False,
    )
    run_id = models.CharField(max_length=128, null=True, db_collation="C")
    kind = models.CharField(max_length=50)
    data = CanonicalJsonField()
    sha256 = models.CharField(max_length=64, db_collation="C")
    recovery_executed = models.BooleanField(default=False)
    actor = models.CharField(max_length=150, null=True)
    via = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        verbose_name_plural = "evidence"
        constraints: ClassVar = [
            # Evidence is of something; a prevented report has no incident.
            models.CheckConstraint(
                condition=Q(incident__isnull=False) | Q(run_id__isnull=False),
                name="evidence_bound",
            ),
            # A failure and a violation are captured once. Led by them, so that deleting one finds
            # its evidence.
            models.UniqueConstraint(
                fields=["failure", "tenant"],
                condition=Q(failure__isnull=False),
                name="evidence_once_per_failure",
            ),
            models.UniqueConstraint(
                fields=["violation", "tenant"],
                condition=Q(violation__isnull=False),
                name="evidence_once_per_violation",
            ),
        ]
        indexes: ClassVar = [
            # The evidence of one incident, newest first, and how much of it a recovery left.
            models.Index(
                fields=["incident", "created_at", "id"],
                include=["recovery_executed"],
                name="evidence_incident",
            ),
            # The evidence of one run.
            models.Index(
                fields=["tenant", "run_id"],
                condition=Q(run_id__isnull=False),
                name="evidence_run",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:12]}"
