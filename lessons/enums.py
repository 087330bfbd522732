"""The closed vocabularies of lessons and proposals, as callers and the database spell them."""

from __future__ import annotations

from django.db import models


class LessonType(models.TextChoices):
    FAILURE = "failure"
    NEAR_THRESHOLD = "near_threshold"
    CRITICAL_SUCCESS = "critical_success"


class LessonStatus(models.TextChoices):
    """Dismissed and converted_to_draft are final."""

    PENDING = "pending"
    DEFERRED = "deferred"
    DISMISSED = "dismissed"
    CONVERTED = "converted_to_draft"


class ProposalStatus(models.TextChoices):
    """Approved and rejected are final."""

    DRAFT = "draft"
    APPROVED = "approved"
    REJECTED = "rejected"


class ProposalKind(models.TextChoices):
    """What kind of policy a proposal is for; its rule's policy type."""

    TIMEOUT = "timeout_policy"
    CRASH_RECOVERY = "crash_recovery_policy"
    COST_CAP = "cost_cap_policy"
    RATE_LIMIT = "rate_limit_policy"
    RETRY = "retry_policy"
    FAILURE_PATTERN = "failure_pattern_policy"


class LessonEventType(models.TextChoices):
    """What an entry in a lesson's history records."""

    CAPTURED = "captured"
    ESCALATED = "escalated"
    DEFERRED = "deferred"
    REACTIVATED = "reactivated"
    DISMISSED = "dismissed"
    CONVERTED = "converted"


class ProposalEventType(models.TextChoices):
    """What an entry in a proposal's history records."""

    DRAFTED = "drafted"
    LINKED = "linked"
    AMENDED = "amended"
    APPROVED = "approved"
    REJECTED = "rejected"


class Band(models.IntegerChoices):
    """How near to a threshold, by the percentage that the band begins with; the last is open."""

    FROM_85 = 85, "85-90"
    FROM_90 = 90, "90-95"
    FROM_95 = 95, "95-100"


class NotRecorded(models.TextChoices):
    """Why a report of a lesson made none."""

    BELOW_THRESHOLD = "below_threshold"
    DEBOUNCED = "debounced"
    ALREADY_RECORDED = "already_recorded"
