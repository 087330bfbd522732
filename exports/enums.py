"""The closed vocabularies of bundles, as callers and the database spell them."""

from __future__ import annotations

from django.db import models


class BundleType(models.TextChoices):
    EVIDENCE = "evidence", "Evidence"
    SOC2 = "soc2", "SOC 2"
    EXECUTIVE_DEBRIEF = "executive_debrief", "Executive debrief"


class Conformance(models.TextChoices):
    """What a bundle's PDF is: for archives, or plain because a character could not be drawn."""

    PDF_A_3B = "PDF/A-3b", "PDF/A-3b"
    PDF_1_7 = "PDF 1.7", "PDF 1.7"


class ReviewState(models.TextChoices):
    """What a reviewer says of a bundle."""

    IN_REVIEW = "in_review"
    ACCEPTED = "accepted"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"
