"""What people fill in: filters of the list, and the forms of acts on incidents."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest

from config.backstage import tenants
from incidents.enums import ResolutionMethod, ResolutionType, Severity, Status

TOPICS = {
    "active": "Active",
    "resolved": "Resolved",
    "historical": "Resolved over 30 days ago",
    "all": "All",
}
# The columns that order the list; the id, which grows with time, decides between equals.
ORDERS = {
    "newest": "Newest first",
    "worst": "Worst first",
    "calls": "Most calls first",
    "cost": "Dearest first",
    "seen": "Last seen first",
}
# So many tenants a person can choose from.
MAX_TENANTS = 1_000
SEVERITIES = [(one.label, one.label) for one in reversed(Severity)]


def _words(values: type) -> list[tuple[str, str]]:
    return [(str(value), str(value).replace("_", " ")) for value in values]  # type: ignore[attr-defined]


def _any(choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", "any"), *choices]


def _text(placeholder: str = "", length: int = 128) -> forms.CharField:
    return forms.CharField(
        required=False,
        max_length=length,
        widget=forms.TextInput({"placeholder": placeholder, "autocomplete": "off"}),
    )


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class MomentInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M", attrs={"step": "1"})


def _moment(label: str) -> forms.DateTimeField:
    return forms.DateTimeField(
        required=False,
        widget=MomentInput,
        label=label,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"],
    )


class IncidentFilterForm(forms.Form):
    """The filters above the list; what is empty narrows nothing."""

    search = _text("words in the title, error or timeline", 200)
    topic = forms.ChoiceField(choices=list(TOPICS.items()), required=False)
    order = forms.ChoiceField(choices=list(ORDERS.items()), required=False)
    severity = forms.MultipleChoiceField(choices=SEVERITIES, required=False)
    status = forms.ChoiceField(choices=_any(_words(Status)), required=False)
    tenant = forms.ChoiceField(required=False)
    category = _text(length=50)
    trigger_type = _text(length=50)
    agent_id = _text()
    run_id = _text()
    assignee = _text(length=100)
    acknowledged = forms.ChoiceField(
        choices=_any([("yes", "at some time"), ("no", "never")]), required=False
    )
    started_after = _moment("Started from, UTC")
    started_before = _moment("Started before, UTC")

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.GET, label_suffix="")
        self.tenant_names = list(tenants(request).values_list("pk", flat=True)[:MAX_TENANTS])
        self.fields["tenant"].choices = [  # type: ignore[attr-defined]
            ("", "all"),
            *((name, name) for name in self.tenant_names),
        ]
        self.fields["trigger_type"].label = "Trigger"
        self.fields["agent_id"].label = "Agent"
        self.fields["run_id"].label = "Run"

    @property
    def topic_shown(self) -> str:
        """The topic in force: all, where a status is asked for and nothing else is said."""
        given = self.cleaned_data if self.is_valid() else {}
        return given.get("topic") or ("all" if given.get("status") else "active")

    @property
    def order_shown(self) -> str:
        """The order in force: what still burns the worst first, what is over the newest."""
        given = self.cleaned_data if self.is_valid() else {}
        return given.get("order") or ("worst" if self.topic_shown == "active" else "newest")

    @property
    def narrows(self) -> bool:
        """Whether anything but the words, the topic and the order is set."""
        return self.is_valid() and any(
            value
            for name, value in self.cleaned_data.items()
            if name not in ("search", "topic", "order")
        )


class ActForm(forms.Form):
    """What an act needs besides its incidents: by default nothing."""

    def arguments(self) -> dict[str, Any]:
        return dict(self.cleaned_data)


def _prose(required: bool, rows: int = 3, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        required=required,
        max_length=2000,
        help_text=help_text,
        widget=forms.Textarea({"rows": rows}),
    )


class ResolveForm(ActForm):
    method = forms.ChoiceField(
        choices=_words(ResolutionMethod),
        initial=ResolutionMethod.MANUAL,
        help_text="How it ended: by itself, by hand, or by rolling something back.",
    )
    type = forms.ChoiceField(
        choices=[("", "not decided"), *_words(ResolutionType)],
        required=False,
        help_text="What it turned out to be.",
    )
    summary = _prose(False, help_text="What was wrong, and what ended it; later readers learn.")

    def arguments(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "method": ResolutionMethod(given["method"]),
            "type": ResolutionType(given["type"]) if given["type"] else None,
            "summary": given["summary"] or None,
        }


class SeverityForm(ActForm):
    severity = forms.ChoiceField(choices=SEVERITIES)
    reason = _prose(True, help_text="It stands on the timeline.")

    def arguments(self) -> dict[str, Any]:
        return {
            "severity": Severity.named(self.cleaned_data["severity"]),
            "reason": self.cleaned_data["reason"],
        }


class AssignForm(ActForm):
    assignee = forms.CharField(
        required=False, max_length=100, help_text="Empty: nobody.", widget=forms.TextInput
    )

    def arguments(self) -> dict[str, Any]:
        return {"assignee": self.cleaned_data["assignee"] or None}


class ReopenForm(ActForm):
    reason = _prose(True, help_text="It stands on the timeline.")


class CommentForm(ActForm):
    description = _prose(True, help_text="It stands on the timeline with your name.")
    description.label = "Comment"


class OpenForm(forms.Form):
    """An incident that a person saw."""

    tenant = forms.ChoiceField()
    title = forms.CharField(max_length=2000)
    severity = forms.ChoiceField(choices=SEVERITIES, initial="medium")
    category = forms.RegexField(
        r"\A[a-z0-9_.-]{1,50}\Z", required=False, help_text="Small letters, digits and _ . -"
    )
    description = _prose(False)
    run_id = forms.RegexField(r"\A[A-Za-z0-9._:@+=-]{1,128}\Z", required=False, label="Run")

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST or None)
        self.fields["tenant"].choices = [  # type: ignore[attr-defined]
            (one.pk, one.pk) for one in tenants(request)
        ]
