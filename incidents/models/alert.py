"""Alerts, and the tally of what became of every report."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import Outcome


class Alert(models.Model):
    """One report that something went wrong, as it was received.

    ``key`` makes an alert count once: a 128-bit digest of tenant, trigger and call (or of
    whatever else identifies the report), so that the primary key is the deduplication. An alert
    without an identity has a random key. ``incident`` is null when a rule prevented it.

    There is no foreign key in the database to the incident: the row is written in the statement
    that adds it to the incident's counters, and checking each of a thousand rows again would
    cost more than writing them.
    """

    pk = models.CompositePrimaryKey("tenant_id", "key")
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    key = models.UUIDField(editable=False)
    id = models.UUIDField(default=clock.uuid7, editable=False)
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.PROTECT,
        related_name="alerts",
        null=True,
        db_index=False,
        db_constraint=False,
    )
    outcome = models.SmallIntegerField(choices=Outcome.choices)
    trigger_type = models.CharField(max_length=50, db_collation="C")
    trigger_value = models.CharField(max_length=2000, null=True)
    group_key = models.CharField(max_length=200, default="", db_collation="C")
    call_id = models.CharField(max_length=400, null=True, db_collation="C")
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    cost_delta_cents = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    run_id = models.CharField(max_length=128, null=True, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, db_collation="C")
    model = models.CharField(max_length=200, null=True)
    error_code = models.CharField(max_length=200, null=True, db_collation="C")
    error_message = models.CharField(max_length=2000, null=True)
    category = models.CharField(max_length=50, null=True)
    auto_action = models.CharField(max_length=200, null=True)
    metadata = models.JSONField(null=True)
    is_synthetic = models.BooleanField(default=False)
    synthetic_scenario_id = models.CharField(max_length=128, null=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(
                    outcome__in=[Outcome.OPENED, Outcome.AGGREGATED, Outcome.OVERFLOWED],
                    incident__isnull=False,
                )
                | Q(outcome=Outcome.PREVENTED, incident__isnull=True),
                name="alert_counted_or_prevented",
            ),
        ]
        indexes: ClassVar = [
            # The alerts of one incident, newest first. Not by id: those of a batch have one time,
            # so that a row goes to the end of the index and a page of it holds many hundreds.
            models.Index(fields=["incident", "created_at"], name="alert_incident"),
            # An overflow incident mixes triggers, so its distinct calls have to be looked up.
            models.Index(
                fields=["incident", "call_id"],
                condition=Q(outcome=Outcome.OVERFLOWED),
                name="alert_overflow_calls",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_type} {self.call_id or self.id}"


class OutcomeTally(models.Model):
    """How many reports of a tenant had each outcome in an hour.

    An hour is spread over a few ``slot`` rows, so that concurrent writers seldom wait for each
    other; read the sum.
    """

    pk = models.CompositePrimaryKey("tenant_id", "hour", "slot")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    hour = models.DateTimeField()
    slot = models.SmallIntegerField()
    received = models.BigIntegerField()
    opened = models.BigIntegerField()
    aggregated = models.BigIntegerField()
    overflowed = models.BigIntegerField()
    prevented = models.BigIntegerField()
    duplicate = models.BigIntegerField()
    rejected = models.BigIntegerField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # Nothing that was received is unaccounted for.
            models.CheckConstraint(
                condition=Q(
                    received=F("opened")
                    + F("aggregated")
                    + F("overflowed")
                    + F("prevented")
                    + F("duplicate")
                    + F("rejected")
                ),
                name="tally_adds_up",
            ),
        ]
        indexes: ClassVar = [
            # What /metrics counts, over all tenants.
            models.Index(fields=["hour"], name="tally_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.hour:%Y-%m-%d %H}h"
