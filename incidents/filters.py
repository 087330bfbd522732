"""Which incidents a list, a count or a screen is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from rest_framework import serializers

from config.api import parameters
from incidents.enums import CauseType, Severity, Status, Topic
from incidents.services.reads import ORDERINGS, Narrowing


class IncidentFilterParameters(parameters.Parameters):
    """What lists and counts of incidents can be narrowed by."""

    topic = parameters.Choice(
        Topic.choices,
        required=False,
        help_text=(
            "active: unresolved; resolved; historical: resolved more than `retention_days` ago."
        ),
    )
    retention_days = parameters.Integer(
        min_value=7, max_value=365, required=False, help_text="Only with topic historical; 30."
    )
    status = parameters.Repeated(parameters.Choice(Status.choices), required=False)
    severity = parameters.Repeated(
        parameters.Choice([severity.label for severity in Severity]), required=False
    )
    category = parameters.Repeated(parameters.Slug50(), required=False)
    cause_type = parameters.Choice(CauseType.choices, required=False)
    trigger_type = parameters.Slug50(required=False)
    agent_id = parameters.Identifier(required=False, help_text="Of any alert of the incident.")
    run_id = parameters.RunIdentifier(required=False, help_text="Of any alert of the incident.")
    assignee = parameters.Text(max_length=100, required=False)
    is_synthetic = parameters.Boolean(required=False)
    created_after = parameters.Timestamp(required=False, help_text="At or after.")
    created_before = parameters.Timestamp(required=False, help_text="Before.")
    resolved_after = parameters.Timestamp(required=False, help_text="At or after.")
    resolved_before = parameters.Timestamp(required=False, help_text="Before.")
    search = parameters.Text(
        max_length=200,
        required=False,
        help_text="Words in the title, description, error message or timeline.",
    )
    as_of = parameters.Timestamp(
        required=False, help_text="Hides what has a `created_at` later than this."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "retention_days" in attrs and attrs.get("topic") != Topic.HISTORICAL:
            raise serializers.ValidationError({"retention_days": "goes only with topic=historical"})
        return attrs


class IncidentListParameters(parameters.ListParameters, IncidentFilterParameters):
    """The filters, an ordering and a page."""

    ordering = parameters.Ordering(
        ORDERINGS,
        help_text=(
            "With `-` it descends; ties go by `id` the same way, and what has no `resolved_at` "
            "comes last either way. By `created_at`, which never changes, a walk under `as_of` "
            "with filters on what never changes returns each incident exactly once while others "
            "arrive and these change. The other orderings go by what changes, as do filters on "
            "`status`, `severity`, `assignee`, `topic` and `resolved_at`: they show the present, "
            "each page as it is when it is asked for. An incident whose value stays the same "
            "during the walk is returned exactly once; one whose value changes may come twice or "
            "not at all. By `created_at` and `resolved_at` a page costs the same at any depth; by "
            "the others all that the filters leave is read before it is sorted, so narrow them, "
            "say with `topic=active`."
        ),
    )


def narrowing_of(query: Mapping[str, Any]) -> Narrowing:
    """What these parameters narrow a list to; the others (a page, an ordering) do not."""
    return Narrowing(**{name: query[name] for name in _NARROWING if name in query})


_NARROWING: Final = frozenset(field.name for field in fields(Narrowing))
