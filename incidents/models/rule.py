"""Rules, every state they were ever in, and what they kept out of the incidents."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

from config import clock
from config.tenancy.models import Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from incidents.enums import RuleMode

# What a rule can ask of a report, each by equality.
MATCHED: Final = ("trigger_type", "error_code", "category", "agent_id")


class _RuleFields(models.Model):
    """What a rule says; the same in the rule and in its revisions."""

    name = models.CharField(max_length=200)
    policy_type = models.CharField(max_length=128, null=True, blank=True, db_collation="C")
    mode = models.CharField(max_length=10, choices=RuleMode.choices, default=RuleMode.SHADOW)
    is_active = models.BooleanField(default=True)
    trigger_type = models.CharField(max_length=50, null=True, blank=True, db_collation="C")
    error_code = models.CharField(max_length=200, null=True, blank=True, db_collation="C")
    category = models.CharField(max_length=50, null=True, blank=True, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, blank=True, db_collation="C")

    class Meta:
        abstract = True


class RuleSet(models.Model):
    """Which version of a tenant's rules is in force: a new id at every change of any of them.

    Every batch of reports reads the row, so that a change binds at once in every process; no row
    means that the tenant never had a rule. Whoever changes a rule locks it first.
    """

    tenant = models.OneToOneField(
        Tenant, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    version = models.UUIDField(default=clock.uuid7)

    objects = TenantScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.version}"


class PolicyRule(_RuleFields):
    """A rule that matches a report when every field it gives is equal.

    With mode active it prevents; with mode shadow it records that it would have. With
    ``is_active`` false it does neither. ``revision`` numbers its latest revision. The ``source``
    ids say what it was made from; they are no foreign keys, because lessons and proposals stand
    above incidents.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    revision = models.IntegerField(default=1, editable=False)
    source_proposal_id = models.UUIDField(null=True, blank=True, editable=False)
    source_lesson_id = models.UUIDField(null=True, blank=True, editable=False)
    source_incident_id = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A rule that gives nothing would prevent everything.
            models.CheckConstraint(
                condition=Q(trigger_type__isnull=False)
                | Q(error_code__isnull=False)
                | Q(category__isnull=False)
                | Q(agent_id__isnull=False),
                name="rule_matches_something",
            ),
            models.CheckConstraint(condition=Q(mode__in=RuleMode.values), name="rule_mode_known"),
            # A proposal becomes a rule once.
            models.UniqueConstraint(
                fields=["tenant", "source_proposal_id"],
                condition=Q(source_proposal_id__isnull=False),
                name="rule_once_per_proposal",
            ),
        ]
        indexes: ClassVar = [
            # The list of rules, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="rule_created"),
            # The rules in force, read by a process that has not met their version.
            models.Index(fields=["tenant"], condition=Q(is_active=True), name="rule_in_force"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def conditions(self) -> dict[str, str]:
        """The fields that it gives, with what they have to equal."""
        return {name: value for name in MATCHED if (value := getattr(self, name)) is not None}


class RuleRevision(_RuleFields):
    """What a rule said from a moment on; append-only. ``number`` counts from 1."""

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    rule = models.ForeignKey(PolicyRule, on_delete=models.PROTECT, related_name="revisions")
    number = models.IntegerField()
    actor = models.CharField(max_length=150, null=True)
    via = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # Every change is one revision; two at once cannot be the same one.
            models.UniqueConstraint(
                fields=["tenant", "rule", "number"], name="rule_revision_identity"
            ),
            models.CheckConstraint(
                condition=Q(mode__in=RuleMode.values), name="rule_revision_mode_known"
            ),
        ]
        indexes: ClassVar = [
            # The rules in force then.
            models.Index(fields=["tenant", "created_at"], name="rule_revision_created"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, revision {self.number}"


class Prevention(models.Model):
    """That a rule kept a report out of the incidents, or in shadow would have; append-only.

    ``incident`` is where a shadow rule's report went; null when the report was prevented.
    ``alert_key`` is the key of the alert, ``revision`` what the rule was at. As with alerts, the
    database does not check the foreign keys row by row: they are written a thousand at a time.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    rule = models.ForeignKey(
        PolicyRule,
        on_delete=models.PROTECT,
        related_name="preventions",
        db_index=False,
        db_constraint=False,
    )
    revision = models.IntegerField()
    mode = models.CharField(max_length=10, choices=RuleMode.choices)
    incident = models.ForeignKey(
        "incidents.Incident",
        on_delete=models.PROTECT,
        related_name="preventions",
        null=True,
        db_index=False,
        db_constraint=False,
    )
    alert_key = models.UUIDField()
    trigger_type = models.CharField(max_length=50, db_collation="C")
    group_key = models.CharField(max_length=200, blank=True, default="", db_collation="C")
    call_id = models.CharField(max_length=400, null=True, db_collation="C")
    run_id = models.CharField(max_length=128, null=True, db_collation="C")
    agent_id = models.CharField(max_length=128, null=True, db_collation="C")
    error_code = models.CharField(max_length=200, null=True, db_collation="C")
    category = models.CharField(max_length=50, null=True, db_collation="C")
    cost_delta_cents = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()

    objects = TenantScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            # A report is prevented, or would have been, once.
            models.UniqueConstraint(fields=["tenant", "alert_key"], name="prevention_identity"),
            models.CheckConstraint(
                condition=Q(mode=RuleMode.ACTIVE, incident__isnull=True)
                | Q(mode=RuleMode.SHADOW, incident__isnull=False),
                name="prevention_mode",
            ),
        ]
        indexes: ClassVar = [
            # The list of preventions, newest first.
            models.Index(fields=["tenant", "-created_at", "-id"], name="prevention_created"),
            # What one rule prevented, over time.
            models.Index(fields=["rule", "-created_at", "-id"], name="prevention_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_type} by {self.rule}"
