"""What an incident's page shows, read in a fixed number of queries however large it is."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from incidents.admin import charts, panels
from incidents.facts import TRIGGER_OVERFLOW
from incidents.models import (
    Alert,
    Event,
    Evidence,
    Failure,
    Incident,
    IncidentRun,
    Run,
    Step,
    Trace,
    Violation,
)
from incidents.models.rollup import UNCATEGORIZED
from incidents.services import glances, postmortem, recurrence

EVENTS: Final = 200
ALERTS: Final = 10
RUNS: Final = 10
EVIDENCE: Final = 20
# Steps of a trace that are shown before and after the one that broke a policy; of a trace
# without any, so many of the last ones twice.
AROUND: Final = 3
RECURRENCE_DAYS: Final = 30
RECURRENCE_FROM: Final = 3


def context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """Everything below the header."""
    links = list(
        IncidentRun.objects.filter(incident=incident)
        .order_by("-created_at")
        .values_list("run_id", flat=True)[: RUNS + 1]
    )
    events = list(
        Event.objects.filter(incident=incident).order_by("-created_at", "-id")[: EVENTS + 1]
    )
    runs = _runs(incident, links[:RUNS])
    evidence = list(
        Evidence.objects.filter(incident=incident).order_by("-created_at")[: EVIDENCE + 1]
    )
    recurring = recurrence.of_category(
        tenant=incident.tenant,
        category=incident.category or UNCATEGORIZED,
        baseline_days=RECURRENCE_DAYS,
        threshold=RECURRENCE_FROM,
    )
    return {
        "events": events[:EVENTS],
        "events_cut": len(events) > EVENTS,
        "plot": _plot(incident),
        "alerts": Alert.objects.filter(incident=incident)[:ALERTS],
        "runs": runs,
        "excerpt": _excerpt(runs),
        "runs_cut": len(links) > RUNS,
        "evidence": evidence[:EVIDENCE],
        "evidence_cut": len(evidence) > EVIDENCE,
        "failures": list(Failure.objects.filter(incident=incident).order_by("-created_at")[:RUNS]),
        "violations": list(
            Violation.objects.filter(incident=incident).order_by("-created_at")[:RUNS]
        ),
        "learnings": postmortem.of_incident(incident=incident),
        "recurrence": recurring,
        "others": recurring.occurrences - (incident.started_at >= recurring.since),
        "category_href": _list(incident, category=incident.category or UNCATEGORIZED),
        "overflow": incident.trigger_type == TRIGGER_OVERFLOW,
        "category": incident.category or UNCATEGORIZED,
        "panels": panels.panels_of(request, incident),
        "facts": _facts(incident),
    }


def _plot(incident: Incident) -> dict[str, Any]:
    found = glances.arrivals(incident=incident)
    spanned = found.buckets and (found.buckets[-1].end - found.buckets[0].start).days >= 1
    form = "%d %b %H:%M" if spanned else "%H:%M:%S"
    chart = charts.bars(
        [
            charts.Column(
                [("alerts", bucket.alerts)],
                f"{bucket.start:{form}}",
                f"{bucket.start:%Y-%m-%d %H:%M:%S} to {bucket.end:%H:%M:%S} UTC: "
                f"{bucket.alerts:,} alert{'' if bucket.alerts == 1 else 's'}",
            )
            for bucket in found.buckets
        ],
        title="Alerts over time",
        unit="alerts",
    )
    return {"chart": chart, "read": found.read, "all": found.read >= incident.alerts_count}


def _runs(incident: Incident, run_ids: list[str]) -> list[dict[str, Any]]:
    """The runs that the alerts named, each with its page and the step that broke a policy."""
    runs = {
        run.run_id: run
        for run in Run.objects.filter(tenant_id=incident.tenant_id, run_id__in=run_ids)
    }
    traces = {
        trace.run_id: trace
        for trace in Trace.objects.filter(tenant_id=incident.tenant_id, run_id__in=run_ids)
    }
    return [
        {
            "run_id": run_id,
            "run": (run := runs.get(run_id)),
            "trace": traces.get(run_id),
            "href": reverse("admin:incidents_run_change", args=[run.pk]) if run else None,
        }
        for run_id in run_ids
    ]


def _excerpt(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The steps around the one that broke a policy, or the last ones of a run that sent any."""
    traced = [one for one in runs if one["trace"]]
    broken = [one for one in traced if one["trace"].violation_step_index is not None]
    if not traced:
        return None
    one = (broken or traced)[0]
    steps = Step.objects.filter(trace=one["trace"]).order_by("-step_index")
    if broken:
        place = one["trace"].violation_step_index
        steps = steps.filter(step_index__range=(place - AROUND, place + AROUND))
    shown = list(steps[: 2 * AROUND + 1])
    return {**one, "steps": shown[::-1]} if shown else None


def _list(incident: Incident, **query: str) -> str:
    """All of the tenant's incidents that are alike in something."""
    parameters = {"topic": "all", "tenant": incident.tenant_id, **query}
    return f"{reverse('admin:incidents_incident_changelist')}?{urlencode(parameters)}"


def _facts(incident: Incident) -> list[tuple[str, Any, str]]:
    """What the reports said of it, without what they did not say; some lead to those alike."""
    alike = {
        "Trigger": {"trigger_type": incident.trigger_type},
        "Agent": {"agent_id": incident.agent_id or ""},
        "Category": {"category": incident.category or UNCATEGORIZED},
    }
    facts = [
        ("Trigger", incident.trigger_type),
        ("Trigger value", incident.trigger_value),
        ("Group", incident.group_key),
        ("Category", incident.category or UNCATEGORIZED),
        ("Cause", incident.cause_type.replace("_", " ")),
        ("Reported as", incident.source_type.replace("_", " ")),
        ("Agent", incident.agent_id),
        ("Model", incident.model),
        ("Error code", incident.error_code),
        ("Automatic action", incident.auto_action),
        ("Post-mortem", incident.postmortem_id),
        ("Signature", incident.signature),
        ("Scenario", incident.synthetic_scenario_id),
    ]
    return [
        (name, value, _list(incident, **alike[name]) if name in alike else "")
        for name, value in facts
        if value
    ]
