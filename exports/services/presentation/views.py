"""The three documents, as the templates get them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from exports.services.documents import (
    Bundle,
    Control,
    ExecutiveBundle,
    Sentence,
    Soc2Bundle,
)
from exports.services.presentation import pictures, sections, text
from exports.services.presentation.blocks import (
    Fact,
    Section,
    badge,
    column,
    dash,
    exact,
    fact,
    identifier,
    lines,
    number,
    section,
)
from exports.services.wording import cents, count, duration, milliseconds, moment, shorten

KINDS = {
    "evidence": "Evidence bundle",
    "soc2": "SOC 2 bundle",
    "executive_debrief": "Executive debrief",
}


def view(bundle: Bundle, *, sha256: str) -> dict[str, Any]:
    """The document of any bundle, its texts fit to be set."""
    made = {"evidence": evidence, "soc2": soc2, "executive_debrief": executive}[
        bundle["bundle_type"]
    ](bundle)
    frame = _frame(bundle, sha256)
    replaced = text.unknown_characters([made, frame])
    if replaced:
        frame["notices"].append(
            f"{count(replaced, 'character').capitalize()} that the fonts of this document cannot "
            "draw, or that would not show, stand here as code points such as [U+202E]. The exact "
            "text is in the attached JSON."
        )
    return cast(dict[str, Any], text.clean_all(frame | made))


def evidence(bundle: Bundle) -> dict[str, Any]:
    return {
        "facts": _facts(bundle),
        **_charts(bundle),
        "sections": sections.common(bundle),
        "attestation": sections.attestation(bundle),
    }


def soc2(bundle: Bundle) -> dict[str, Any]:
    period = bundle["period"]
    controls = cast(Soc2Bundle, bundle)["controls"]
    overview = section(
        "Controls",
        columns=[column("Control", 18), column("About", -1), column("Status", 34)],
        rows=[
            [
                control["id"],
                lines(control["title"], control["explanation"]),
                badge(control["status"]),
            ]
            for control in controls
        ],
    )
    return {
        "period": f"{_day(period['start'])} to {_last_day(period['end'])}"
        if period
        else "No period was given.",
        "auditor_notes": bundle["auditor_notes"] or "The auditor left no notes.",
        "overview": overview,
        "controls": [_control(control) for control in controls],
        "facts": _facts(bundle),
        **_charts(bundle),
        "sections": sections.common(bundle),
        "attestation": sections.attestation(bundle),
    }


def executive(bundle: Bundle) -> dict[str, Any]:
    debrief = cast(ExecutiveBundle, bundle)
    sources = _Sources()
    return {
        "risk": badge(debrief["risk_level"]["level"]),
        "cards": _cards(bundle),
        "summary": sources.cite(debrief["summary"]),
        "impact": sources.cite(debrief["business_impact"]),
        "because": sources.cite(debrief["risk_level"]["because"]),
        "recommendations": sources.cite(debrief["recommendations"]),
        **_charts(bundle),
        "sections": [
            sections.milestones(bundle),
            *sections.limits(bundle),
            section(
                "Where each statement comes from",
                text=["The numbers behind the statements name fields of the attached JSON."],
                columns=[column("No.", 14, "right"), column("Field", -1), column("Says", -1)],
                rows=[
                    [str(place), identifier(pointer), _value_at(bundle, pointer)]
                    for pointer, place in sources.numbers.items()
                ],
            ),
        ],
        "attestation": sections.attestation(bundle),
    }


class _Sources:
    """The fields that sentences name, numbered in the order they first come up."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def cite(self, sentences: list[Sentence]) -> list[dict[str, str]]:
        cited: list[dict[str, str]] = []
        for sentence in sentences:
            places = [
                self.numbers.setdefault(pointer, len(self.numbers) + 1)
                for pointer in sentence["sources"]
            ]
            cited.append(
                {"text": sentence["text"], "sources": ", ".join(str(n) for n in sorted(places))}
            )
        return cited


def _value_at(bundle: Bundle, pointer: str) -> str:
    """What stands at a pointer, short enough for a table."""
    value: Any = bundle
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    if isinstance(value, list):
        return count(len(value), "entry", "entries")
    if isinstance(value, dict):
        return shorten(", ".join(str(part) for part in value.values() if part), 160)
    return shorten(dash(value), 160)


def _control(control: Control) -> Section:
    holds = {True: "yes", False: "no", None: "not_applicable"}
    return section(
        f"{control['id']} {control['title']}",
        text=[control["subject"]],
        lead=badge(control["status"]),
        said=control["explanation"],
        columns=[
            column("Fact", 52),
            column("Holds", 27),
            column("Found", -1),
            column("Where in the JSON", 44),
        ],
        rows=[
            [
                item["name"],
                badge(holds[item["holds"]]),
                item["found"],
                lines(*[identifier(pointer) for pointer in item["sources"][:4]]),
            ]
            for item in control["facts"]
        ],
    )


def _frame(bundle: Bundle, sha256: str) -> dict[str, Any]:
    """What every document has: who, what, when, and how to check it."""
    incident = bundle["incident"]
    notices: list[str] = []
    if incident["is_synthetic"]:
        notices.append("This incident is synthetic: a drill, not a real event.")
    tenant = bundle["tenant"]
    name = shorten(tenant["name"], 60)
    return {
        "kind": KINDS[bundle["bundle_type"]],
        "title": shorten(incident["title"], 300),
        "tenant": f"{name} ({tenant['id']})" if name else tenant["id"],
        "severity": badge(incident["severity"]),
        "status": badge(incident["status"]),
        "bundle_id": text.Exact(bundle["id"]),
        "sha256": text.Exact(sha256),
        "key_id": text.Exact(bundle["attestation"]["key_id"]),
        "signer": bundle["attestation"]["signer"],
        "generator": f"{bundle['generator']['name']} {bundle['generator']['version']}",
        "generated_at": moment(bundle["generated_at"]),
        "requested_by": bundle["requested_by"],
        "reason": shorten(bundle["reason"] or "no reason given", 600),
        "prepared_for": shorten(bundle["prepared_for"] or "", 200),
        "description": shorten(incident["description"] or "", 900),
        "resolution": shorten(incident["resolution_summary"] or "", 900),
        "picture": pictures.timeline(bundle),
        "notices": notices,
    }


def _facts(bundle: Bundle) -> list[Fact]:
    incident = bundle["incident"]
    resolution = incident["resolution_method"]
    if resolution and incident["resolution_type"]:
        resolution = f"{resolution}, {incident['resolution_type'].replace('_', ' ')}"
    return [
        fact("Trigger", _with_detail(incident["trigger_type"], incident["trigger_value"])),
        fact("Group", identifier(shorten(incident["group_key"], 200))),
        fact("Category", incident["category"] or "uncategorized"),
        fact("Cause, source", f"{incident['cause_type']}, {incident['source_type']}"),
        fact("Calls affected", dash(incident["calls_affected"])),
        fact("Alerts", dash(incident["alerts_count"])),
        fact("Cost reported", cents(incident["cost_delta_cents"])),
        fact("Assignee", dash(incident["assignee"])),
        fact("Started", moment(incident["started_at"])),
        fact("Last alert", moment(incident["last_seen_at"])),
        fact("Resolution", resolution or "not resolved"),
        fact("Incident", exact(incident["id"])),
    ]


def _day(at: str) -> str:
    """The date alone when the moment is a midnight."""
    return at[:10] if at[11:19] == "00:00:00" else moment(at)


def _last_day(end: str) -> str:
    """The last day of a period that ends before ``end``."""
    if end[11:19] != "00:00:00":
        return f"{moment(end)}, that moment not included"
    return f"{datetime.fromisoformat(end) - timedelta(days=1):%Y-%m-%d}"


def _with_detail(word: str, detail: str | None) -> str:
    return f"{word}: {shorten(detail, 120)}" if detail else word


def _cards(bundle: Bundle) -> list[dict[str, str]]:
    totals, incident = bundle["totals"], bundle["incident"]
    resolved = bundle["milestones"]["resolved"]
    return [
        {"value": dash(totals["calls"]), "label": "calls affected"},
        {"value": dash(totals["runs"]), "label": "runs affected"},
        {
            "value": number(cents(bundle["cost"]["incident_cents"]).removesuffix(" cents")),
            "label": "cents reported as cost",
        },
        {
            "value": duration(incident["created_at"], resolved["at"]) if resolved else "—",
            "label": "until resolved" if resolved else "not resolved yet",
        },
    ]


def _steps_charts(bundle: Bundle) -> list[pictures.Chart]:
    """What the steps of the run cost and took, when the incident is about a single one."""
    if len(bundle["runs"]) != 1:
        return []
    (run,) = bundle["runs"]
    drawn = (pictures.steps_chart(run, "tokens"), pictures.steps_chart(run, "cost_cents"))
    return [chart for chart in drawn if chart is not None]


def _charts(bundle: Bundle) -> dict[str, Any]:
    """The plots, and in words what is not plotted, so that no picture is missed."""
    points = bundle["series"]["points"]
    chosen, spent = bundle["selection"], bundle["cost"]["incident_cents"]
    if not points:
        return {"charts": [], "unplotted": "No alert is kept, so there is no course to plot."}
    if len(points) == 1:
        # What happened all at once has no course to plot.
        cost = f"{cents(spent)} reported as cost" if Decimal(spent) else "no cost reported"
        length = milliseconds(bundle["series"]["bucket_seconds"] * 1000)
        drawn = _steps_charts(bundle)
        return {
            "charts": drawn,
            "unplotted": f"All happened within {length} from {moment(points[0]['at'])}, so there "
            f"is no course to plot. In all: {count(chosen['alerts_covered'], 'alert')}, "
            f"{count(chosen['calls_covered'], 'call')}, {cost}."
            + (" The bars show the steps of the run instead." if drawn else ""),
        }
    calls, cost_plot = pictures.calls_chart(bundle["series"]), pictures.cost_chart(bundle["series"])
    missing = [
        said
        for plot, said in (
            (calls, "No alert names a call."),
            (cost_plot, "No alert reports a cost."),
        )
        if plot is None
    ]
    return {
        "charts": [chart for chart in (calls, cost_plot) if chart is not None],
        "unplotted": " ".join(missing),
    }
