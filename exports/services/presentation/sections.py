"""The sections that bundles share, each saying so when nothing was found."""

from __future__ import annotations

from exports.services.documents import Bundle
from exports.services.presentation import findings
from exports.services.presentation.blocks import (
    EXCERPT,
    MOST_ROWS,
    PAIRED,
    Cell,
    Section,
    badge,
    column,
    dash,
    identifier,
    left_out,
    lines,
    pairs,
    section,
)
from exports.services.wording import cents, count, duration, moment, shorten


def common(bundle: Bundle) -> list[Section]:
    """Everything an evidence bundle shows after its first page."""
    return [
        scope(bundle),
        milestones(bundle),
        timeline(bundle),
        *findings.runs(bundle),
        findings.failures(bundle),
        findings.violations(bundle),
        findings.evidence(bundle),
        rules(bundle),
        totals(bundle),
        history(bundle),
        *limits(bundle),
    ]


def scope(bundle: Bundle) -> Section:
    chosen = bundle["selection"]
    return section(
        "What this bundle covers",
        text=[chosen["rule"]],
        columns=PAIRED,
        rows=pairs(
            [
                ("Alerts covered", dash(chosen["alerts_covered"])),
                ("Distinct calls covered", dash(chosen["calls_covered"])),
                ("Runs covered", dash(chosen["runs_covered"])),
                ("First alert", _when(chosen["first_alert_at"])),
                ("Last alert", _when(chosen["last_alert_at"])),
                (
                    "Raw content of steps",
                    "included" if chosen["raw_steps_included"] else "not asked for",
                ),
            ]
        ),
    )


def milestones(bundle: Bundle) -> Section:
    reached = bundle["milestones"]
    rows: list[list[Cell]] = []
    for name in ("detected", "acknowledged", "contained", "resolved"):
        milestone = reached[name]
        if milestone is None:
            rows.append([name.capitalize(), "not recorded", "—", "—", "—"])
            continue
        rows.append(
            [
                name.capitalize(),
                moment(milestone["at"]),
                duration(bundle["incident"]["started_at"], milestone["at"]),
                lines(
                    dash(milestone["actor"]),
                    f"via {milestone['via']}" if milestone["via"] else None,
                ),
                milestone["source"],
            ]
        )
    return section(
        "Times of detection, acknowledgement, containment and resolution",
        columns=[
            column("Milestone", 26),
            column("When", 41),
            column("After the start", 28),
            column("By", -1),
            column("Taken from", -1),
        ],
        rows=rows,
    )


def timeline(bundle: Bundle) -> Section:
    entries = bundle["timeline"]
    rows: list[list[Cell]] = [
        [
            moment(entry["at"]),
            entry["event_type"].replace("_", " "),
            lines(dash(entry["actor"]), f"via {entry['via']}"),
            shorten(entry["description"], EXCERPT),
        ]
        for entry in entries[:MOST_ROWS]
    ]
    return section(
        "Timeline",
        columns=[
            column("When", 41),
            column("Event", 28),
            column("By", 32),
            column("What", -1),
        ],
        rows=rows,
        empty="No event was recorded.",
        note=left_out(len(entries), "event"),
    )


def rules(bundle: Bundle) -> Section:
    listed = bundle["rules_in_force"]
    rows: list[list[Cell]] = [
        [
            lines(rule["name"], f"revision {rule['revision']}, {dash(rule['policy_type'])}"),
            badge(rule["mode"]),
            lines(*[f"{name} = {value}" for name, value in sorted(rule["matches"].items())]),
            lines(
                f"from {moment(rule['in_force_since'])}",
                f"until {moment(rule['in_force_until'])}"
                if rule["in_force_until"]
                else "and when this was made",
            ),
            dash(rule["preventions"]),
        ]
        for rule in listed[:MOST_ROWS]
    ]
    return section(
        "Rules in force during the incident",
        columns=[
            column("Rule", -1),
            column("Mode", 19),
            column("Matches", -1),
            column("In force", 49),
            column("Prevented", 20, "right"),
        ],
        rows=rows,
        empty="No rule of this kind was in force.",
        note=left_out(len(listed), "rule"),
    )


def totals(bundle: Bundle) -> Section:
    found, cost = bundle["totals"], bundle["cost"]
    names = ("alerts", "calls", "runs", "agents", "steps", "failures", "violations", "evidence")
    figures = [
        (name.capitalize(), dash(found[name]))  # type: ignore[literal-required]
        for name in names
    ]
    figures += [
        ("Events on the timeline", dash(found["events"])),
        ("Tokens", dash(found["tokens"])),
        ("Cost that the alerts report", cents(cost["incident_cents"])),
        ("Cost of the runs", cents(cost["runs_cents"])),
        ("Cost anomalies of the runs", cents(cost["anomalies_cents"])),
    ]
    return section("Totals and cost", columns=PAIRED, rows=pairs(figures))


def history(bundle: Bundle) -> Section:
    recurrence, lessons = bundle["recurrence"], bundle["lessons"]
    rows: list[list[Cell]] = [
        [
            shorten(lesson["title"], 200),
            badge(lesson["status"]),
            badge(lesson["severity"]) if lesson["severity"] else "—",
            shorten(dash(lesson["proposed_action"]), 200),
            lesson["created_at"][:10],
        ]
        for lesson in lessons[:MOST_ROWS]
    ]
    return section(
        "Recurrence and lessons",
        text=[
            f"{count(recurrence['occurrences'], 'other incident').capitalize()} of the same kind "
            f"in {count(recurrence['window_days'], 'day')}."
        ],
        columns=[
            column("Lesson", -1),
            column("Status", 34),
            column("Severity", 21),
            column("Proposed", -1),
            column("Since", 24),
        ],
        rows=rows,
        empty="No lesson was recorded.",
        note=left_out(len(lessons), "lesson"),
    )


def limits(bundle: Bundle) -> list[Section]:
    """What was taken out, and what is not there."""
    redacted, gaps = bundle["redactions"], bundle["gaps"]
    # What is missing of many is said once.
    missing: dict[str, list[str]] = {}
    for gap in gaps[:MOST_ROWS]:
        missing.setdefault(gap["detail"], []).append(gap["subject"])
    return [
        section(
            "Redactions",
            columns=[column("What", 50), column("Why", -1), column("Where in the JSON", 46)],
            rows=[
                [
                    shorten(item["what"], EXCERPT),
                    shorten(item["reason"], EXCERPT),
                    identifier(item["pointer"]),
                ]
                for item in redacted[:MOST_ROWS]
            ],
            empty="Nothing was redacted.",
            note=left_out(len(redacted), "redaction"),
        ),
        section(
            "Gaps",
            columns=[column("What about", 60), column("What is missing", -1)],
            rows=[
                [shorten(", ".join(subjects), EXCERPT), shorten(detail, EXCERPT)]
                for detail, subjects in missing.items()
            ],
            empty="No gap is known.",
            note=left_out(len(gaps), "gap"),
        ),
    ]


def attestation(bundle: Bundle) -> Section:
    """Who signs and what was checked; the template adds how to check the seal."""
    attested = bundle["attestation"]
    return section(
        "Attestation",
        text=[attested["statement"]],
        columns=[column("Checked", 40), column("Result", 21), column("Found", -1)],
        rows=[
            [check["name"], badge("passed" if check["passed"] else "failed"), check["detail"]]
            for check in attested["checks"]
        ],
        empty="Nothing was checked beyond the seal.",
    )


def _when(at: str | None) -> str:
    return moment(at) if at else "—"
