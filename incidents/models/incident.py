"""Incidents, their timeline, and which runs and agents their alerts named."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Now

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import (
    CauseType,
    EventType,
    ResolutionMethod,
    ResolutionType,
    Severity,
    SourceType,
    Status,
)
from incidents.models.documents import SEARCHED_EVENTS, EventDocument, IncidentDocument
from incidents.models.rollup import UNCATEGORIZED


def _microseconds_to(column: str) -> models.GeneratedField:
    return models.GeneratedField(
        expression=Func(
            F(column),
            F("created_at"),
            template="(extract(epoch FROM %(expressions)s) * 1000000)::bigint",
            arg_joiner=" - ",
            output_field=models.BigIntegerField(),
        ),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )


def _or_else(column: str, otherwise: str) -> Case:
    """As ``models.rollup.or_else``, for an index."""
    return Case(When(**{f"{column}__isnull": True}, then=Value(otherwise)), default=F(column))


class Incident(models.Model):
    """The group of alerts that share a key in a window; what people triage.

    ``window_start`` with tenant, trigger and group is the key that only one unresolved incident
    may hold. ``started_at`` to ``last_seen_at`` is the span of its alerts' own times;
    ``quiet_since`` is when the last alert was recorded (or a person reopened it), from which
    staleness runs. The counters are exact and only ever move together with alerts.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    title = models.CharField(max_length=2000)
    description = models.TextField(blank=True, default="")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.OPEN)
    severity = models.SmallIntegerField(choices=Severity.choices)
    category = models.CharField(max_length=50, null=True, blank=True)
    trigger_type = models.CharField(max_length=50, db_collation="C")
    trigger_value = models.CharField(max_length=2000, null=True, blank=True)
    group_key = models.CharField(max_length=200, blank=True, default="", db_collation="C")
    cause_type = models.CharField(max_length=10, choices=CauseType.choices)
    source_type = models.CharField(max_length=12, choices=SourceType.choices)
    window_start = models.DateTimeField()

    calls_affected = models.BigIntegerField(default=0)
    alerts_count = models.BigIntegerField(default=0)
    cost_delta_cents = models.DecimalField(max_digits=30, decimal_places=4, default=0)
    escalation_base = models.BigIntegerField(
        default=0, help_text="Calls affected when a person last set the severity."
    )

    run_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    model = models.CharField(max_length=200, null=True, blank=True)
    error_code = models.CharField(max_length=200, null=True, blank=True, db_collation="C")
    error_message = models.CharField(max_length=2000, null=True, blank=True)
    auto_action = models.CharField(max_length=200, null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    signature = models.CharField(
        max_length=80,
        null=True,
        blank=True,
        db_collation="C",
        help_text="What recurrences of the same failure share; its version comes first.",
    )
    is_synthetic = models.BooleanField(default=False)
    synthetic_scenario_id = models.CharField(max_length=128, null=True, blank=True)

    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    quiet_since = models.DateTimeField()
    created_at = models.DateTimeField()

    assignee = models.CharField(max_length=100, null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=250, null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=250, null=True, blank=True)
    resolution_method = models.CharField(
        max_length=10, choices=ResolutionMethod.choices, null=True, blank=True
    )
    resolution_type = models.CharField(
        max_length=20, choices=ResolutionType.choices, null=True, blank=True
    )
    resolution_summary = models.TextField(null=True, blank=True)
    postmortem_id = models.CharField(max_length=128, null=True, blank=True)

    # Microseconds from created_at, kept by the database.
    acknowledge_us = _microseconds_to("acknowledged_at")
    resolve_us = _microseconds_to("resolved_at")

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # At most one unresolved incident per key and window, whatever the concurrency; its
            # first three columns also find the unresolved incidents of a kind.
            models.UniqueConstraint(
                fields=["tenant", "trigger_type", "group_key", "window_start"],
                condition=~Q(status=Status.RESOLVED),
                name="incident_unresolved_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="incident_status_known"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="incident_severity_known"
            ),
            models.CheckConstraint(
                condition=Q(cause_type__in=CauseType.values), name="incident_cause_known"
            ),
            models.CheckConstraint(
                condition=Q(source_type__in=SourceType.values), name="incident_source_known"
            ),
            # Resolved means that somebody or something resolved it, some way, at some time.
            models.CheckConstraint(
                condition=Q(
                    status=Status.RESOLVED,
                    resolved_at__isnull=False,
                    resolution_method__in=ResolutionMethod.values,
                )
                | (
                    ~Q(status=Status.RESOLVED)
                    & Q(
                        resolved_at__isnull=True,
                        resolution_method__isnull=True,
                        resolution_type__isnull=True,
                    )
                ),
                name="incident_resolved_iff_resolved_at",
            ),
            models.CheckConstraint(
                condition=Q(resolution_type__isnull=True)
                | Q(resolution_type__in=ResolutionType.values),
                name="incident_resolution_type_known",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.ACKNOWLEDGED) | Q(acknowledged_at__isnull=False),
                name="incident_acknowledged_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.OPEN) | Q(acknowledged_at__isnull=True),
                name="incident_open_is_unacknowledged",
            ),
            models.CheckConstraint(
                condition=Q(started_at__lte=F("last_seen_at")), name="incident_span_ordered"
            ),
            models.CheckConstraint(
                condition=Q(
                    calls_affected__gte=0,
                    alerts_count__gte=F("calls_affected"),
                    cost_delta_cents__gte=0,
                    escalation_base__range=(0, F("calls_affected")),
                ),
                name="incident_counters_sane",
            ),
        ]
        indexes: ClassVar = [
            # The list of all incidents, newest first, and every walk by created_at.
            models.Index(
                F("tenant"), F("created_at").desc(), F("id").desc(), name="incident_created"
            ),
            # The list of what is still burning, and housekeeping's search for the stale.
            models.Index(
                F("tenant"),
                F("created_at").desc(),
                F("id").desc(),
                condition=~Q(status=Status.RESOLVED),
                name="incident_unresolved_created",
            ),
            # What burns the worst, of whichever tenant, is what people look for first.
            models.Index(
                fields=["severity", "id"],
                condition=~Q(status=Status.RESOLVED),
                name="incident_worst",
            ),
            # The hourly limit and the insights go by started_at; the metrics of the hours that
            # the sums of a day have too many or too few, without the rows.
            models.Index(
                fields=["tenant", "started_at"],
                include=["severity", "acknowledge_us", "resolve_us"],
                name="incident_started",
            ),
            # Retention: the incidents of a tenant that were resolved before some moment, and those
            # whose alerts it has not been through yet.
            models.Index(
                fields=["tenant", "resolved_at"],
                condition=Q(resolved_at__isnull=False),
                name="incident_resolved",
            ),
            # What still burns, by when it began: its calls and costs, and the oldest of it.
            models.Index(
                fields=["tenant", "started_at"],
                condition=~Q(status=Status.RESOLVED),
                name="incident_unresolved_started",
            ),
            # The latest (and the first) of a category and a resolution method, for every
            # insight that names the incidents behind it; and, with the plain category, the
            # incidents of some hours by category, without the rows.
            models.Index(
                F("tenant"),
                _or_else("category", UNCATEGORIZED),
                _or_else("resolution_method", ""),
                F("started_at"),
                F("id"),
                include=["category"],
                name="incident_category",
            ),
            # Exact medians and service levels: those that took about so long, without the rows.
            models.Index(
                fields=["tenant", "acknowledge_us"],
                condition=Q(acknowledge_us__isnull=False),
                include=["started_at", "severity"],
                name="incident_acknowledge_time",
            ),
            models.Index(
                fields=["tenant", "resolve_us"],
                condition=Q(resolve_us__isnull=False),
                include=["started_at", "severity"],
                name="incident_resolve_time",
            ),
            # The recurrences of an incident, and the resolved ones like it.
            models.Index(
                fields=["tenant", "signature", "-created_at"],
                condition=Q(signature__isnull=False),
                name="incident_signature",
            ),
            # What somebody has to see to, newest first; few incidents have an assignee.
            models.Index(
                fields=["assignee", "-id"],
                condition=Q(assignee__isnull=False),
                name="incident_assignee",
            ),
            # Search by words; what it reads never changes while alerts come in.
            GinIndex(IncidentDocument(), name="incident_words"),
        ]

    def __str__(self) -> str:
        return self.title


class Event(models.Model):
    """One entry on an incident's timeline; append-only.

    ``actor`` is the person as the caller named them, ``via`` what they acted through: the name
    of an API key, ``admin``, or the part of Firebreak that acted by itself.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    # Kept by the incident's own foreign key; every incident that is opened would pay for it again.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    event_type = models.CharField(max_length=20, choices=EventType.choices)
    description = models.TextField()
    actor = models.CharField(max_length=150, null=True, blank=True)
    via = models.CharField(max_length=100)
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(event_type__in=EventType.values), name="event_type_known"
            ),
        ]
        indexes: ClassVar = [
            # The timeline of one incident.
            models.Index(fields=["incident", "created_at", "id"], name="event_timeline"),
            # Search by words in timelines.
            GinIndex(EventDocument(), condition=SEARCHED_EVENTS, name="event_words"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M:%S} {self.event_type}"


class IncidentRun(models.Model):
    """That some alert of the incident named the run."""

    pk = models.CompositePrimaryKey("tenant_id", "run_id", "incident_id")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    run_id = models.CharField(max_length=128, db_collation="C")
    incident = models.ForeignKey(
        Incident, on_delete=models.PROTECT, related_name="run_links", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            # The runs of the incidents of some hours, without the rows: cascades.
            models.Index(fields=["incident"], include=["run_id", "tenant"], name="link_runs"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} in {self.incident_id}"


class IncidentAgent(models.Model):
    """That some alert of the incident named the agent."""

    pk = models.CompositePrimaryKey("tenant_id", "agent_id", "incident_id")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    agent_id = models.CharField(max_length=128, db_collation="C")
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="agent_links")

    objects = TenantScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.agent_id} in {self.incident_id}"
