"""Violations of policies, and the record that a run was checked at all."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import Outcome, Severity


class Violation(models.Model):
    """That a run broke a rule of a policy of the platform's; append-only.

    ``outcome`` and ``incident`` say what became of the report; the incident is null when a rule
    of Firebreak's prevented it.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    policy_id = models.CharField(max_length=128, db_collation="C")
    rule_id = models.CharField(max_length=128, db_collation="C")
    policy_type = models.CharField(max_length=128, null=True, db_collation="C")
    severity = models.SmallIntegerField(choices=Severity.choices)
    reason = models.CharField(max_length=2000, null=True)
    evaluated_value = models.CharField(max_length=2000, null=True)
    threshold_condition = models.CharField(max_length=2000, null=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.PROTECT,
        related_name="violations",
        null=True,
        db_index=False,
    )
    outcome = models.SmallIntegerField(choices=Outcome.choices)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A run breaks a rule of a policy once, however often that is reported.
            models.UniqueConstraint(
                fields=["tenant", "run_id", "policy_id", "rule_id"], name="violation_identity"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="violation_severity_known"
            ),
            # Counted in an incident, or kept out of all of them.
            models.CheckConstraint(
                condition=Q(outcome=Outcome.PREVENTED, incident__isnull=True)
                | Q(
                    outcome__in=[Outcome.OPENED, Outcome.AGGREGATED, Outcome.OVERFLOWED],
                    incident__isnull=False,
                ),
                name="violation_counted_or_prevented",
            ),
        ]
        indexes: ClassVar = [
            # The violations of one incident.
            models.Index(fields=["incident", "created_at", "id"], name="violation_incident"),
            # The list of violations, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="violation_created"),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id}/{self.rule_id} by {self.run_id}"


class PolicyEvaluation(models.Model):
    """That the policies were checked on a run, with what outcome; append-only."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    outcome = models.CharField(max_length=200)
    policies_checked = models.BigIntegerField()
    confidence = models.FloatField()
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A run is evaluated once.
            models.UniqueConstraint(fields=["tenant", "run_id"], name="evaluation_identity"),
            models.CheckConstraint(
                condition=Q(confidence__range=(0, 1), policies_checked__gte=0),
                name="evaluation_in_range",
            ),
        ]
        indexes: ClassVar = [
            # The list of evaluations, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="evaluation_created"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} of {self.run_id}"
