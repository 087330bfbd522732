"""The closed vocabularies of reports and incidents, as callers and the database spell them."""

from __future__ import annotations

from django.db import models


class Severity(models.IntegerChoices):
    """How bad; stored as a rank so that the database can compare and sort."""

    LOW = 1, "low"
    MEDIUM = 2, "medium"
    HIGH = 3, "high"
    CRITICAL = 4, "critical"

    @classmethod
    def named(cls, name: str) -> Severity:
        """The severity that callers spell ``name``; KeyError when there is none."""
        return cls[name.upper()]


class Status(models.TextChoices):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Topic(models.TextChoices):
    """What a list of incidents is about; historical is what was resolved long ago."""

    ACTIVE = "active"
    RESOLVED = "resolved"
    HISTORICAL = "historical"


class Outcome(models.IntegerChoices):
    """What became of a report; the six always add up to what was received."""

    OPENED = 1, "opened"
    AGGREGATED = 2, "aggregated"
    OVERFLOWED = 3, "overflowed"
    PREVENTED = 4, "prevented"
    DUPLICATE = 5, "duplicate"
    REJECTED = 6, "rejected"


class CauseType(models.TextChoices):
    LLM_RUN = "llm_run"
    SYSTEM = "system"
    HUMAN = "human"


class SourceType(models.TextChoices):
    """What kind of report opened the incident."""

    ALERT = "alert"
    FAILURE = "failure"
    VIOLATION = "violation"
    COST_ANOMALY = "cost_anomaly"
    MANUAL = "manual"
    OVERFLOW = "overflow"


class ResolutionMethod(models.TextChoices):
    AUTO = "auto"
    MANUAL = "manual"
    ROLLBACK = "rollback"


class ResolutionType(models.TextChoices):
    REAL = "real"
    FALSE_POSITIVE = "false_positive"
    DUPLICATE = "duplicate"


class EventType(models.TextChoices):
    """What an entry on an incident's timeline records."""

    OPENED = "opened"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    ASSIGNED = "assigned"
    SEVERITY_CHANGED = "severity_changed"
    COMMENTED = "commented"
    EVIDENCE_ADDED = "evidence_added"
    POSTMORTEM_STARTED = "postmortem_started"


class RunStatus(models.TextChoices):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HALTED = "halted"
    ABORTED = "aborted"


class FailureType(models.TextChoices):
    TIMEOUT = "timeout"
    EXCEPTION = "exception"
    INVALID_OUTPUT = "invalid_output"


class AnomalyKind(models.TextChoices):
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    BUDGET_WARNING = "BUDGET_WARNING"
    ABSOLUTE_SPIKE = "ABSOLUTE_SPIKE"
    SUSTAINED_DRIFT = "SUSTAINED_DRIFT"


class RuleMode(models.TextChoices):
    """An active rule prevents; a shadow rule records that it would have."""

    SHADOW = "shadow"
    ACTIVE = "active"


class PatternType(models.TextChoices):
    """What several incidents may have in common."""

    CATEGORY_CLUSTER = "category_cluster"
    SEVERITY_SPIKE = "severity_spike"
    CASCADE_FAILURE = "cascade_failure"


class InsightKind(models.TextChoices):
    """What an insight says, of similar incidents or of a category."""

    SAME_METHOD = "same_method"
    RECOVERY_ATTEMPTED = "recovery_attempted"
    TIME_TO_RESOLVE = "time_to_resolve"
    MOSTLY_RESOLVED = "mostly_resolved"
    SELDOM_RESOLVED = "seldom_resolved"
    SLOW_TO_RESOLVE = "slow_to_resolve"
    QUICK_TO_RESOLVE = "quick_to_resolve"
    FREQUENT = "frequent"
    METHOD_WORKS = "method_works"


class Similarity(models.TextChoices):
    """What two incidents share; the first that they do counts, and ranks."""

    SIGNATURE = "signature"
    ERROR_CODE = "error_code"
    CATEGORY = "category"

    @property
    def rank(self) -> int:
        return list(type(self)).index(self)

    @classmethod
    def ranked(cls, rank: int) -> Similarity:
        return list(cls)[rank]


class WebhookEvent(models.TextChoices):
    """What a webhook can tell of; all but the last are also events of a timeline."""

    OPENED = "opened"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    # An overflow incident was opened; it is told as this alone.
    OVERFLOWED = "overflowed"


class DeliveryStatus(models.TextChoices):
    """A delivery is pending until it was delivered or every attempt failed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
