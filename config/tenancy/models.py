"""Tenants, their keys, and the first answers to requests that may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from config import clock
from config.tenancy.enums import Scope

TENANT_ID_PATTERN = r"[a-z0-9-]{1,64}"


@dataclass(frozen=True, slots=True)
class AggregationConfig:
    """The facts by which a tenant's alerts are folded into incidents.

    ``window_seconds``, ``cooldown_seconds`` and ``stale_after_seconds`` are seconds,
    ``incidents_per_hour`` counts new incidents in a rolling hour, ``statistics_hours`` is how
    far back statistics go when nobody says.
    """

    window_seconds: int = 300
    incidents_per_hour: int = 20
    cooldown_seconds: int = 60
    stale_after_seconds: int = 900
    statistics_hours: int = 24


DEFAULT_AGGREGATION = AggregationConfig()

# What an override may be, both ends included; the CHECK constraints below say the same.
AGGREGATION_RANGES: dict[str, tuple[int, int]] = {
    "window_seconds": (1, 7 * 86_400),
    "incidents_per_hour": (0, 100_000),
    "cooldown_seconds": (0, 86_400),
    "stale_after_seconds": (1, 30 * 86_400),
    "statistics_hours": (1, 8_760),
}


def _override(name: str, help_text: str) -> models.IntegerField[int | None, int | None]:
    low, high = AGGREGATION_RANGES[name]
    default = getattr(DEFAULT_AGGREGATION, name)
    return models.IntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(low), MaxValueValidator(high)],
        help_text=f"{help_text} Empty: {default}.",
    )


# How long rows of a kind are kept, in days, both ends included; null is for ever.
RETENTION_DAYS: Final = (1, 3_650)
RETENTIONS: Final = ("alert_days", "incident_days", "bundle_days")


def _retention(help_text: str) -> models.IntegerField[int | None, int | None]:
    low, high = RETENTION_DAYS
    return models.IntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(low), MaxValueValidator(high)],
        help_text=f"{help_text} Empty: for ever.",
    )


class Tenant(models.Model):
    """A customer of the platform; ``id`` is the platform's own short string for it.

    The aggregation columns are overrides: null means the default. Read ``aggregation`` for the
    facts in force. The retention columns are days; null keeps for ever.
    """

    id = models.CharField(
        primary_key=True,
        max_length=64,
        db_collation="C",
        validators=[
            RegexValidator(
                rf"^{TENANT_ID_PATTERN}\Z", "Only lower-case letters, digits and hyphens."
            )
        ],
    )
    name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now, editable=False)

    window_seconds = _override("window_seconds", "Length of the window, in seconds.")
    incidents_per_hour = _override(
        "incidents_per_hour", "New incidents in a rolling hour before they overflow."
    )
    cooldown_seconds = _override(
        "cooldown_seconds", "Seconds around an incident's span that still belong to it."
    )
    stale_after_seconds = _override(
        "stale_after_seconds", "Seconds without an alert after which an open incident is stale."
    )
    statistics_hours = _override("statistics_hours", "Hours that statistics go back.")

    ingest_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Requests that report, a minute. Empty: no limit.",
    )
    read_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="All other requests, a minute. Empty: no limit.",
    )

    alert_days = _retention(
        "Days that alerts are kept after they were received, and with them the memory of which "
        "calls were counted or prevented. Incidents keep their figures."
    )
    incident_days = _retention(
        "Days that incidents are kept after they were resolved, with their timeline, evidence, "
        "facts and traces. Figures are those of the incidents that are left. At least as many "
        "as for alerts."
    )
    bundle_days = _retention(
        "Days that exported bundles are kept, with their reviews. They do not depend on their "
        "incidents."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            # The id stands in URLs of the admin, in file names and on command lines.
            models.CheckConstraint(
                name="tenant_id_shape", condition=models.Q(id__regex=rf"^{TENANT_ID_PATTERN}$")
            ),
            # Aggregation divides by the window and compares with the rest: no nonsense gets in.
            *(
                models.CheckConstraint(
                    name=f"tenant_{name}_range",
                    condition=models.Q(**{f"{name}__range": bounds})
                    | models.Q(**{f"{name}__isnull": True}),
                )
                for name, bounds in AGGREGATION_RANGES.items()
            ),
            *(
                models.CheckConstraint(
                    name=f"tenant_{name}_range",
                    condition=models.Q(**{f"{name}__range": RETENTION_DAYS})
                    | models.Q(**{f"{name}__isnull": True}),
                )
                for name in RETENTIONS
            ),
            # Promise 2: a repeated call is answered with its incident for as long as its alert
            # is kept, so that no incident goes before its alerts.
            models.CheckConstraint(
                name="tenant_incidents_outlive_alerts",
                condition=models.Q(incident_days__isnull=True)
                | models.Q(alert_days__isnull=False, alert_days__lte=models.F("incident_days")),
                violation_error_message="Incidents are kept at least as long as alerts: give "
                "alerts as many days or fewer.",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def aggregation(self) -> AggregationConfig:
        """The facts in force: this tenant's overrides over the defaults."""
        facts: dict[str, int] = {}
        for name in AGGREGATION_RANGES:
            override = getattr(self, name)
            facts[name] = getattr(DEFAULT_AGGREGATION, name) if override is None else override
        return AggregationConfig(**facts)


class ApiKey(models.Model):
    """A key of one tenant. Only its SHA-256 digest is kept; ``prefix`` names it to people.

    ``last_used_at`` is coarse: it is written at most once in a few minutes.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    scopes = ArrayField(models.TextField(choices=Scope.choices))
    created_at = models.DateTimeField(default=clock.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-id"]
        constraints = [
            # A permission check trusts these words; a key without any could do nothing.
            models.CheckConstraint(
                name="api_key_scopes_known",
                condition=models.Q(scopes__contained_by=list(Scope.values))
                & models.Q(scopes__len__gte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    def is_usable(self, *, at: datetime) -> bool:
        """Whether the key is neither revoked nor expired at this moment."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class RequestCount(models.Model):
    """How many requests a tenant with a limit made in a minute, over all workers."""

    pk = models.CompositePrimaryKey("tenant_id", "kind", "minute")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=10, db_collation="C")
    minute = models.DateTimeField()
    count = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.kind} {self.minute:%H:%M}: {self.count}"


class IdempotencyRecord(models.Model):
    """The first answer to a request that carried an Idempotency-Key, kept for repeats.

    ``fingerprint`` is the SHA-256 of the path and the (inflated) body, ``answer`` the JSON that
    was sent. A row exists only when its request succeeded: it commits with the work it answers
    for, and only inside that transaction is its ``status`` still null.
    """

    # One row per tenant and key: a concurrent repeat waits on this index, then replays.
    pk = models.CompositePrimaryKey("tenant_id", "key")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", db_index=False)
    key = models.CharField(max_length=255, db_collation="C")
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.BinaryField(default=b"")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [
            # Housekeeping deletes the old ones.
            models.Index(fields=["created_at"], name="idempotency_created_at"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.key}"


class StaffTenant(models.Model):
    """That a person of the admin sees a tenant; superusers see all without any of these."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="staff_tenants"
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name = "tenant of a person"
        verbose_name_plural = "tenants of a person"
        ordering = ["tenant_id"]
        constraints = [
            # Every request of limited staff reads the tenants of its user through this index.
            models.UniqueConstraint(fields=["user", "tenant"], name="staff_tenant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.tenant_id}"


class SavedView(models.Model):
    """A list of the admin as a person left it, by a name of theirs: which list, and its query."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views"
    )
    screen = models.CharField(max_length=100)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            # Saved again under the same name, it is replaced; a screen lists those of its user.
            models.UniqueConstraint(fields=["user", "screen", "name"], name="saved_view_once"),
        ]

    def __str__(self) -> str:
        return self.name
