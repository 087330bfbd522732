"""What people fill in to export and to review."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms

from exports.enums import BundleType, ReviewState


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


def _words(required: bool, length: int, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        required=required,
        max_length=length,
        help_text=help_text,
        widget=forms.Textarea({"rows": 3}),
    )


class ExportForm(forms.Form):
    """What to export of an incident, and why."""

    bundle_type = forms.ChoiceField(choices=BundleType.choices, label="Kind")
    reason = _words(True, 2000, "It stands in the bundle and in the audit log, with your name.")
    prepared_for = forms.CharField(required=False, max_length=200)
    period_from = forms.DateField(
        required=False, widget=DayInput, help_text="The compliance period begins, in UTC."
    )
    period_to = forms.DateField(
        required=False, widget=DayInput, help_text="Its last day, which is included."
    )
    auditor_notes = _words(False, 10_000)
    include_raw_steps = forms.BooleanField(
        required=False,
        label="Include the contents of trace steps",
        help_text="Otherwise their hashes stand for them.",
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        begins, ends = given.get("period_from"), given.get("period_to")
        for name, this, other in (("period_from", begins, ends), ("period_to", ends, begins)):
            if other and not this and name not in self.errors:
                self.add_error(name, "A period has a first and a last day.")
        if begins and ends and ends < begins:
            self.add_error("period_to", "It ends before it begins.")
        return given

    def arguments(self) -> dict[str, Any]:
        """What the service takes."""
        given = self.cleaned_data
        ends = given["period_to"]
        return {
            "bundle_type": BundleType(given["bundle_type"]),
            "reason": given["reason"],
            "prepared_for": given["prepared_for"] or None,
            "period_start": _midnight(given["period_from"]),
            "period_end": _midnight(ends and ends + timedelta(days=1)),
            "auditor_notes": given["auditor_notes"] or None,
            "include_raw_steps": given["include_raw_steps"],
        }


class ReviewForm(forms.Form):
    """What a reviewer says; it is appended, never changed."""

    state = forms.ChoiceField(
        choices=[(state.value, state.value.replace("_", " ")) for state in ReviewState]
    )
    notes = _words(False, 10_000)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), tzinfo=UTC)
