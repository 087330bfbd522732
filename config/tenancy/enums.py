"""The scopes that a key can carry."""

from django.db import models


class Scope(models.TextChoices):
    """What a key may do; a request needs exactly one of these."""

    INGEST = "ingest", "Ingest: send reports"
    READ = "read", "Read: lists, details and insights"
    TRIAGE = "triage", "Triage: acknowledge, resolve and the like"
    EXPORT = "export", "Export: make and fetch bundles"
    ADMIN = "admin", "Admin: change policy"
