"""Runs, one execution of an agent or a job each, and what they did."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import RunStatus


class Run(models.Model):
    """One execution, named by the caller's ``run_id`` within the tenant.

    A run that only a report has named has ``announced_at`` null and its blanks unfilled.
    ``incident_count`` is the number of incidents that some alert of the run belongs to.
    ``completion`` is the ending that the platform reported, which a failure does not touch.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    goal = models.TextField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.RUNNING)
    completion = models.CharField(
        max_length=10, choices=RunStatus.choices, null=True, blank=True, editable=False
    )
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    termination_reason = models.CharField(max_length=2000, null=True, blank=True)
    error = models.TextField(null=True, blank=True)
    total_tokens = models.BigIntegerField(null=True, blank=True)
    total_cost_cents = models.DecimalField(max_digits=16, decimal_places=4, null=True, blank=True)
    policy_snapshot_id = models.CharField(max_length=128, null=True, blank=True)
    is_synthetic = models.BooleanField(null=True)
    synthetic_scenario_id = models.CharField(max_length=128, null=True, blank=True)
    incident_count = models.IntegerField(default=0)
    announced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # The platform's name for a run is its identity.
            models.UniqueConstraint(fields=["tenant", "run_id"], name="run_identity"),
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="run_status_known"
            ),
            models.CheckConstraint(
                condition=Q(completion__isnull=True) | Q(completion__in=RunStatus.values),
                name="run_completion_known",
            ),
        ]
        indexes: ClassVar = [
            # The list of runs, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="run_created"),
        ]

    def __str__(self) -> str:
        return self.run_id


class Trace(models.Model):
    """What a run did, step by step; a run has one.

    ``incident`` is the first incident that an alert of the run belongs to; once a run has any,
    its steps stay as they are (the database refuses to change or remove them) and new ones may
    only be added.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    trace_id = models.CharField(max_length=128, db_collation="C")
    violation_step_index = models.BigIntegerField(null=True, blank=True)
    violation_timestamp = models.DateTimeField(null=True, blank=True)
    incident = models.ForeignKey(
        "incidents.Incident", on_delete=models.PROTECT, related_name="traces", null=True, blank=True
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A run has one trace; sending it again replaces or repeats it.
            models.UniqueConstraint(fields=["tenant", "run_id"], name="trace_identity"),
        ]

    def __str__(self) -> str:
        return self.trace_id


class Step(models.Model):
    """One step of a trace; ``sha256`` is over the UTF-8 bytes of its content as it was received.

    A step is never updated. While no incident points to the run it may be replaced.
    """

    # Led by the trace, so that it also serves reading a trace in order.
    pk = models.CompositePrimaryKey("trace_id", "step_index", "tenant_id")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    trace = models.ForeignKey(Trace, on_delete=models.PROTECT, related_name="steps", db_index=False)
    step_index = models.BigIntegerField()
    timestamp = models.DateTimeField()
    step_type = models.CharField(max_length=200)
    agent_id = models.CharField(max_length=128, null=True, db_collation="C")
    tokens = models.BigIntegerField(null=True)
    cost_cents = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    duration_ms = models.BigIntegerField(null=True)
    status = models.CharField(max_length=200, null=True)
    content = models.TextField(null=True)
    sha256 = models.CharField(max_length=64, null=True, db_collation="C")

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["step_index"]
        constraints: ClassVar = [
            # A content has its hash, and a hash its content.
            models.CheckConstraint(
                condition=Q(content__isnull=True, sha256__isnull=True)
                | Q(content__isnull=False, sha256__isnull=False),
                name="step_content_hashed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step_index} {self.step_type}"
