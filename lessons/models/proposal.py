"""Proposals: draft rules that a person approves or rejects."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.models import Incident
from lessons.enums import ProposalKind, ProposalStatus


class Proposal(models.Model):
    """A rule as it would be made: ``kind`` is its policy type, and a report would have to be
    equal in every one of ``trigger_type``, ``error_code``, ``category`` and ``agent_id`` given.

    ``incident`` and ``lesson`` are where it came from, ``rule_id`` is what approving it made.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    status = models.CharField(
        max_length=10, choices=ProposalStatus.choices, default=ProposalStatus.DRAFT
    )
    kind = models.CharField(max_length=30, choices=ProposalKind.choices)
    name = models.CharField(max_length=200)
    rationale = models.TextField()
    trigger_type = models.CharField(max_length=50, null=True, blank=True, db_collation="C")
    error_code = models.CharField(max_length=200, null=True, blank=True, db_collation="C")
    category = models.CharField(max_length=50, null=True, blank=True)
    agent_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    incident = models.ForeignKey(
        Incident, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    lesson = models.ForeignKey(
        "lessons.Lesson",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    is_synthetic = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=250, null=True, blank=True)
    rejected_reason = models.TextField(null=True, blank=True)
    rule_id = models.UUIDField(null=True, blank=True)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # Nobody decides about the same draft twice.
            models.UniqueConstraint(
                fields=["incident"],
                condition=Q(status=ProposalStatus.DRAFT),
                name="proposal_one_draft_of_incident",
            ),
            models.UniqueConstraint(
                fields=["lesson"],
                condition=Q(status=ProposalStatus.DRAFT),
                name="proposal_one_draft_of_lesson",
            ),
            # An approved proposal is one rule, and no other proposal's.
            models.UniqueConstraint(fields=["rule_id"], name="proposal_rule"),
            models.CheckConstraint(
                condition=Q(status__in=ProposalStatus.values), name="proposal_status_known"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=ProposalKind.values), name="proposal_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    status=ProposalStatus.DRAFT, decided_at__isnull=True, decided_by__isnull=True
                )
                | (
                    ~Q(status=ProposalStatus.DRAFT)
                    & Q(decided_at__isnull=False, decided_by__isnull=False)
                ),
                name="proposal_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(status=ProposalStatus.REJECTED, rejected_reason__isnull=False)
                | (~Q(status=ProposalStatus.REJECTED) & Q(rejected_reason__isnull=True)),
                name="proposal_rejected_iff_reason",
            ),
            models.CheckConstraint(
                condition=Q(status=ProposalStatus.APPROVED, rule_id__isnull=False)
                | (~Q(status=ProposalStatus.APPROVED) & Q(rule_id__isnull=True)),
                name="proposal_approved_iff_rule",
            ),
        ]
        indexes: ClassVar = [
            # The list of proposals, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="proposal_created"),
            # Whether an incident or a lesson has been proposed about already.
            models.Index(
                fields=["incident"], condition=Q(incident__isnull=False), name="proposal_incident"
            ),
            models.Index(
                fields=["lesson"], condition=Q(lesson__isnull=False), name="proposal_lesson"
            ),
        ]

    def __str__(self) -> str:
        return self.name
