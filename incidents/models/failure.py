"""Failures of runs: facts, kept as they were reported."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import FailureType, Outcome, Severity


class Failure(models.Model):
    """That a call of a run (or the run itself, without a request) failed; append-only.

    ``outcome`` and ``incident`` say what became of the report; the incident is null when a rule
    prevented it.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    request_id = models.CharField(max_length=128, null=True, db_collation="C")
    failure_type = models.CharField(max_length=20, choices=FailureType.choices)
    error_code = models.CharField(max_length=200, db_collation="C")
    error_message = models.CharField(max_length=2000, null=True)
    category = models.CharField(max_length=50)
    severity = models.SmallIntegerField(choices=Severity.choices)
    model = models.CharField(max_length=200, null=True)
    duration_ms = models.BigIntegerField(null=True)
    metadata = models.JSONField(null=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.PROTECT,
        related_name="failures",
        null=True,
        db_index=False,
    )
    outcome = models.SmallIntegerField(choices=Outcome.choices)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A failure that is reported again is the same failure.
            models.UniqueConstraint(
                fields=["tenant", "run_id", "request_id"],
                nulls_distinct=False,
                name="failure_identity",
            ),
            models.CheckConstraint(
                condition=Q(failure_type__in=FailureType.values), name="failure_type_known"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="failure_severity_known"
            ),
            # Counted in an incident, or kept out of all of them.
            models.CheckConstraint(
                condition=Q(outcome=Outcome.PREVENTED, incident__isnull=True)
                | Q(
                    outcome__in=[Outcome.OPENED, Outcome.AGGREGATED, Outcome.OVERFLOWED],
                    incident__isnull=False,
                ),
                name="failure_counted_or_prevented",
            ),
        ]
        indexes: ClassVar = [
            # The failures of one incident.
            models.Index(fields=["incident", "created_at", "id"], name="failure_incident"),
            # A tenant's failures by time.
            models.Index(fields=["tenant", "-created_at", "-id"], name="failure_created"),
        ]

    def __str__(self) -> str:
        return f"{self.error_code} of {self.run_id}"
