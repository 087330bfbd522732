"""Runs: one execution of an agent or a job."""

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
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    goal = models.TextField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.RUNNING)
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
        ]
        indexes: ClassVar = [
            # The list of runs, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="run_created"),
        ]

    def __str__(self) -> str:
        return self.run_id
