"""Lessons, and what keeps their reports from repeating themselves."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import Severity
from incidents.models import Incident
from lessons.enums import Band, LessonStatus, LessonType


class Lesson(models.Model):
    """Something learned from an incident, a near-threshold run or a critical success.

    ``source`` names what it was learned from (``incident:ID`` or ``run:ID``): with it a lesson of
    a type exists once. ``proposal`` is the one that the lesson was converted to.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    lesson_type = models.CharField(max_length=20, choices=LessonType.choices)
    status = models.CharField(
        max_length=20, choices=LessonStatus.choices, default=LessonStatus.PENDING
    )
    source = models.CharField(max_length=150, null=True, blank=True, db_collation="C")
    title = models.CharField(max_length=2000)
    description = models.TextField()
    severity = models.SmallIntegerField(choices=Severity.choices, null=True, blank=True)
    incident = models.ForeignKey(
        Incident, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    run_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    proposed_action = models.TextField(null=True, blank=True)
    detected_pattern = models.JSONField(null=True, blank=True)
    is_synthetic = models.BooleanField(default=False)
    synthetic_scenario_id = models.CharField(max_length=128, null=True, blank=True)
    deferred_until = models.DateTimeField(null=True, blank=True)
    dismissed_reason = models.TextField(null=True, blank=True)
    proposal = models.ForeignKey(
        "lessons.Proposal",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # One lesson of a type from a source, however many processes capture it.
            models.UniqueConstraint(
                fields=["tenant", "lesson_type", "source"], name="lesson_identity"
            ),
            models.CheckConstraint(
                condition=Q(lesson_type__in=LessonType.values), name="lesson_type_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=LessonStatus.values), name="lesson_status_known"
            ),
            models.CheckConstraint(
                condition=Q(severity__isnull=True) | Q(severity__in=Severity.values),
                name="lesson_severity_known",
            ),
            models.CheckConstraint(
                condition=Q(status=LessonStatus.DEFERRED, deferred_until__isnull=False)
                | (~Q(status=LessonStatus.DEFERRED) & Q(deferred_until__isnull=True)),
                name="lesson_deferred_iff_until",
            ),
            models.CheckConstraint(
                condition=Q(status=LessonStatus.DISMISSED, dismissed_reason__isnull=False)
                | (~Q(status=LessonStatus.DISMISSED) & Q(dismissed_reason__isnull=True)),
                name="lesson_dismissed_iff_reason",
            ),
            models.CheckConstraint(
                condition=Q(status=LessonStatus.CONVERTED, proposal__isnull=False)
                | (~Q(status=LessonStatus.CONVERTED) & Q(proposal__isnull=True)),
                name="lesson_converted_iff_proposal",
            ),
        ]
        indexes: ClassVar = [
            # The list of lessons, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="lesson_created"),
            # Housekeeping's search for incidents that turned out to be severe.
            models.Index(
                fields=["created_at"],
                condition=Q(
                    lesson_type=LessonType.FAILURE,
                    status__in=[LessonStatus.PENDING, LessonStatus.DEFERRED],
                ),
                name="lesson_open_failure",
            ),
            # Housekeeping's search for those whose time has come.
            models.Index(
                fields=["deferred_until"],
                condition=Q(status=LessonStatus.DEFERRED),
                name="lesson_deferred",
            ),
            # The lessons of one incident.
            models.Index(
                fields=["incident"], condition=Q(incident__isnull=False), name="lesson_incident"
            ),
            # The lesson that a proposal came from or was linked to, asked when one is erased.
            models.Index(
                fields=["proposal"], condition=Q(proposal__isnull=False), name="lesson_proposal"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class NearThreshold(models.Model):
    """That a tenant's metric reached a band: the claim that one lesson a day is made by.

    ``noted_at`` is when ``lesson_id`` was made, ``repeats`` how many reports came since and made
    none.
    """

    pk = models.CompositePrimaryKey("tenant_id", "metric", "band")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    metric = models.CharField(max_length=200, db_collation="C")
    band = models.SmallIntegerField(choices=Band.choices)
    # No foreign key: the claim comes before the lesson that it permits.
    lesson_id = models.UUIDField()
    noted_at = models.DateTimeField()
    repeats = models.BigIntegerField(default=0)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(band__in=Band.values), name="near_threshold_band_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.metric} {Band(self.band).label}"


class CaptureMark(models.Model):
    """How far capturing has come: the ``created_at`` of a tenant's newest captured incident."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    captured_to = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.tenant_id} to {self.captured_to:%Y-%m-%d %H:%M:%S}"
