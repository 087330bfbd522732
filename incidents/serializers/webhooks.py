"""Webhooks as administrators make and see them, and the log of their deliveries."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from config.api.fields import (
    Slug50,
    StrictBoolean,
    StrictChar,
    StrictChoice,
    StrictList,
    Timestamp,
)
from config.api.serializers import StrictSerializer
from incidents.enums import DeliveryStatus, Severity, WebhookEvent
from incidents.serializers.incidents import SEVERITIES
from incidents.services.webhooks.transport import MAX_URL


class _Events(StrictList):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=StrictChoice(WebhookEvent.choices), allow_empty=False, max_length=10, **options
        )


class _Slugs(StrictList):
    def __init__(self, **options: Any) -> None:
        super().__init__(child=Slug50(), max_length=50, required=False, **options)


class _SeverityName(StrictChoice):
    """A severity by its name, as its rank inside."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SEVERITIES, **options)

    def to_internal_value(self, data: Any) -> Any:
        return Severity.named(super().to_internal_value(data))

    def to_representation(self, value: Any) -> Any:
        return None if value is None else Severity(value).label


class WebhookBody(StrictSerializer):
    """A new webhook. The filters let everything pass when they are empty."""

    example: ClassVar[dict[str, Any]] = {
        "url": "https://hooks.example/firebreak",
        "events": ["opened", "resolved"],
        "min_severity": "high",
    }

    url = StrictChar(max_length=MAX_URL)
    events = _Events()
    description = StrictChar(max_length=2000, min_length=0, required=False)
    min_severity = _SeverityName(required=False, allow_null=True)
    trigger_types = _Slugs()
    categories = _Slugs()
    is_enabled = StrictBoolean(required=False)


class WebhookChange(StrictSerializer):
    """What should change of a webhook."""

    example: ClassVar[dict[str, Any]] = {"is_enabled": False}

    url = StrictChar(max_length=MAX_URL, required=False)
    events = _Events(required=False)
    description = StrictChar(max_length=2000, min_length=0, required=False)
    min_severity = _SeverityName(required=False, allow_null=True)
    trigger_types = _Slugs()
    categories = _Slugs()
    is_enabled = StrictBoolean(required=False)


class WebhookRow(serializers.Serializer):
    """A webhook; its secret is not answered again."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    events = serializers.ListField(child=serializers.ChoiceField(WebhookEvent.choices))
    min_severity = _SeverityName(allow_null=True)
    trigger_types = serializers.ListField(child=serializers.CharField())
    categories = serializers.ListField(child=serializers.CharField())
    is_enabled = serializers.BooleanField()
    created_at = Timestamp()
    updated_at = Timestamp()


class WebhookWithSecret(WebhookRow):
    """A webhook that was made, or was given a new secret: this once with the secret."""

    secret = serializers.CharField(help_text="whsec_ and base64; it signs what is sent.")


class DeliveryRow(serializers.Serializer):
    """One event that is, was or will be sent to a webhook."""

    id = serializers.UUIDField(help_text="The webhook-id of what is sent.")
    kind = serializers.ChoiceField(WebhookEvent.choices)
    status = serializers.ChoiceField(DeliveryStatus.choices)
    event_id = serializers.UUIDField()
    incident_id = serializers.UUIDField()
    attempts = serializers.IntegerField()
    next_attempt_at = Timestamp(allow_null=True)
    created_at = Timestamp()
    finished_at = Timestamp(allow_null=True)


class AttemptRow(serializers.Serializer):
    """One attempt: what was answered (the beginning of it), or what failed."""

    number = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    response = serializers.CharField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    duration_ms = serializers.IntegerField()
    created_at = Timestamp()


class DeliveryDetail(DeliveryRow):
    """A delivery with what is sent, as text, and its attempts, newest first."""

    body = serializers.CharField(allow_null=True)
    log = AttemptRow(many=True)
