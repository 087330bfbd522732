"""What calls cost, and when cost went wrong."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import Outcome, Severity


class CostRecord(models.Model):
    """What one request cost, in cents; append-only."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    request_id = models.CharField(max_length=128, db_collation="C")
    run_id = models.CharField(max_length=128, null=True, db_collation="C")
    model = models.CharField(max_length=200, null=True)
    tokens = models.BigIntegerField(null=True)
    cost_cents = models.DecimalField(max_digits=16, decimal_places=4)
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A request is billed once.
            models.UniqueConstraint(fields=["tenant", "request_id"], name="cost_record_identity"),
            models.CheckConstraint(condition=Q(cost_cents__gte=0), name="cost_record_not_negative"),
        ]
        indexes: ClassVar = [
            # The list of cost records, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="cost_record_created"),
            # What a run cost, and whether its figures are contaminated.
            models.Index(
                fields=["tenant", "run_id"],
                condition=Q(run_id__isnull=False),
                name="cost_record_run",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cost_cents.normalize():f} cents for {self.request_id}"


class CostAnomaly(models.Model):
    """That cost went wrong; append-only. ``incident`` and ``outcome`` are null when it was only
    recorded, because it is not severe enough to be reported.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    anomaly_id = models.CharField(max_length=128, db_collation="C")
    kind = models.CharField(max_length=128, db_collation="C")
    severity = models.SmallIntegerField(choices=Severity.choices)
    cost_delta_cents = models.DecimalField(max_digits=16, decimal_places=4)
    title = models.CharField(max_length=2000, null=True)
    description = models.CharField(max_length=2000, null=True)
    run_id = models.CharField(max_length=128, null=True, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, db_collation="C")
    detected_at = models.DateTimeField()
    created_at = models.DateTimeField()
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.PROTECT,
        related_name="cost_anomalies",
        null=True,
        db_index=False,
    )
    outcome = models.SmallIntegerField(choices=Outcome.choices, null=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        verbose_name_plural = "cost anomalies"
        constraints: ClassVar = [
            # An anomaly that is reported again is the same anomaly.
            models.UniqueConstraint(fields=["tenant", "anomaly_id"], name="cost_anomaly_identity"),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="cost_anomaly_severity_known"
            ),
            # Counted in an incident, or kept out of all of them.
            models.CheckConstraint(
                condition=Q(outcome__isnull=True, incident__isnull=True)
                | Q(outcome=Outcome.PREVENTED, incident__isnull=True)
                | Q(
                    outcome__in=[Outcome.OPENED, Outcome.AGGREGATED, Outcome.OVERFLOWED],
                    incident__isnull=False,
                ),
                name="cost_anomaly_counted_or_prevented",
            ),
        ]
        indexes: ClassVar = [
            # The list of anomalies, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="cost_anomaly_created"),
            # The anomalies of one run.
            models.Index(
                fields=["tenant", "run_id"],
                condition=Q(run_id__isnull=False),
                name="cost_anomaly_run",
            ),
            # The anomalies of one incident.
            models.Index(
                fields=["incident"],
                condition=Q(incident__isnull=False),
                name="cost_anomaly_incident",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.anomaly_id}"
