"""What systems that send to us are answered, and what a tenant wants of them."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from config.api.fields import StrictBoolean, StrictChar, StrictList, Timestamp
from config.api.serializers import StrictSerializer
from incidents.enums import Outcome
from incidents.senders.redaction import MAX_PATTERN, MAX_PATTERNS
from incidents.serializers.incidents import BatchAnswer, IncidentSummary


class NotificationAnswer(BatchAnswer):
    """What became of a notification; the six outcomes and ``ended`` sum to ``received``.

    ``ended`` counts the alerts that are over; ``resolved`` are the incidents that this resolved.
    """

    ended = serializers.IntegerField()
    resolved = serializers.ListField(child=serializers.UUIDField())


class HookAnswer(serializers.Serializer):
    """What became of one hook; both are null when it was about nothing that is reported."""

    outcome = serializers.ChoiceField([outcome.label for outcome in Outcome], allow_null=True)
    incident = IncidentSummary(allow_null=True)


class SenderSettingsRow(serializers.Serializer):
    """What a tenant wants of the systems that send to it; the secret is not answered."""

    keep_prompts = serializers.BooleanField()
    redaction_patterns = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Null: those of the product."
    )
    resolve_on_resolved = serializers.BooleanField()
    has_sentry_secret = serializers.SerializerMethodField()
    updated_at = Timestamp(allow_null=True)

    def get_has_sentry_secret(self, settings: object) -> bool:
        return bool(getattr(settings, "sentry_secret", ""))


class SenderSettingsChange(StrictSerializer):
    """What should change; null goes back to the product's patterns, or takes the secret away."""

    example: ClassVar[dict[str, Any]] = {"keep_prompts": True, "redaction_patterns": ["[0-9]{16}"]}

    keep_prompts = StrictBoolean(required=False)
    redaction_patterns = StrictList(
        child=StrictChar(max_length=MAX_PATTERN),
        max_length=MAX_PATTERNS,
        required=False,
        allow_null=True,
        help_text="Patterns of RE2; what they match is replaced in all that is kept.",
    )
    resolve_on_resolved = StrictBoolean(required=False)
    sentry_secret = StrictChar(max_length=200, required=False, allow_null=True)
