"""What an operator needs to know of: housekeeping's runs, and who did what that matters."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from config import clock


class HousekeepingTask(models.Model):
    """When a housekeeping task last ran, in any process, and what came of it."""

    name = models.CharField(primary_key=True, max_length=100)
    last_run_at = models.DateTimeField()
    last_count = models.BigIntegerField(null=True)
    last_error = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return self.name


class AuditEvent(models.Model):
    """That somebody did something that an auditor will ask about; append-only.

    ``tenant_id`` is null for what concerns no single tenant, such as a login. It is no foreign
    key, because the record outlives an erased tenant.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant_id = models.CharField(max_length=64, null=True, db_collation="C")
    action = models.CharField(max_length=50)
    target = models.CharField(max_length=300, blank=True, default="")
    actor = models.CharField(max_length=150, null=True)
    via = models.CharField(max_length=100)
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            # The audit log of one tenant, newest first.
            models.Index(fields=["tenant_id", "-created_at"], name="audit_tenant"),
            models.Index(fields=["-created_at", "-id"], name="audit_created"),
        ]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M:%S} {self.action} {self.target}"


class LoginCount(models.Model):
    """How often somebody or some address tried to log in within a span of time, over all workers.

    ``subject`` is a digest: what people type for a name may be a password.
    """

    # Counting is one statement, through this key.
    pk = models.CompositePrimaryKey("subject", "span_start")
    subject = models.BinaryField(max_length=32)
    span_start = models.DateTimeField()
    count = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.span_start:%Y-%m-%d %H:%M}: {self.count}"
