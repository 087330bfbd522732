"""The sections that bundles share, each saying so when nothing was found."""

from __future__ import annotations

from collections.abc import Sequence

from exports.services.documents import Bundle, EvidenceFacts, RunFacts, Step
from exports.services.presentation.blocks import (
    PAIRED,
    Cell,
    Section,
    badge,
    column,
    dash,
    exact,
    identifier,
    lines,
    number,
    pairs,
    section,
    verdict,
)
from exports.services.wording import cents, count, duration, moment, shorten

# What a person reads through; the attached JSON has all of it, and the page says so.
MOST_ROWS = 200
MOST_STEPS = 60
MOST_TRACES = 12
_EXCERPT = 420


def common(bundle: Bundle) -> list[Section]:
    """Everything an evidence bundle shows after its first page."""
    return [
        scope(bundle),
        milestones(bundle),
        timeline(bundle),
        *runs(bundle),
        failures(bundle),
        violations(bundle),
        evidence(bundle),
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
                dash(milestone["actor"]),
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
            shorten(entry["description"], _EXCERPT),
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
        note=_left_out(len(entries), MOST_ROWS, "event"),
    )


def runs(bundle: Bundle) -> list[Section]:
    listed = bundle["runs"]
    rows: list[list[Cell]] = [
        [
            lines(identifier(run["run_id"]), shorten(run["goal"] or "", 160)),
            badge(run["status"]),
            dash(run["agent_id"]),
            str(run["trace"]["step_count"]) if run["trace"] else "no trace",
            dash(run["total_tokens"]),
            _amount(run["total_cost_cents"]),
        ]
        for run in listed[:MOST_ROWS]
    ]
    overview = section(
        "Runs",
        columns=[
            column("Run and goal", -1),
            column("Status", 22),
            column("Agent", 26),
            column("Steps", 16, "right"),
            column("Tokens", 18, "right"),
            column("Cost, cents", 21, "right"),
        ],
        rows=rows,
        empty="No run is linked to this incident.",
        note=_left_out(len(listed), MOST_ROWS, "run"),
    )
    traced = [run for run in listed if run["trace"] and run["trace"]["steps"]]
    sections = [overview, *[_trace(run) for run in traced[:MOST_TRACES]]]
    if len(traced) > MOST_TRACES:
        sections[-1]["note"] = (
            f"{count(len(traced) - MOST_TRACES, 'further trace')} can be read in the attached JSON."
        )
    return sections


def _trace(run: RunFacts) -> Section:
    trace = run["trace"]
    if trace is None:
        raise AssertionError
    steps = trace["steps"]
    violating = trace["violation_step_index"]
    shown = _worth_showing(steps, violating)
    rows: list[list[Cell]] = []
    marked: list[int] = []
    previous = -1
    for place in shown:
        step = steps[place]
        if place != previous + 1:
            skipped = count(place - previous - 1, "step")
            rows.append(["⋯", f"{skipped} in the attached JSON", "", "", "", "", ""])
        previous = place
        mine = _step(step, marked=step["step_index"] == violating)
        if step["step_index"] == violating:
            marked.extend(range(len(rows), len(rows) + len(mine)))
        rows.extend(mine)
    left = len(steps) - 1 - previous
    if left:
        rows.append(["⋯", f"{count(left, 'step')} in the attached JSON", "", "", "", "", ""])
    return section(
        f"Trace {shorten(trace['trace_id'], 130)} of run {shorten(run['run_id'], 130)}",
        level=2,
        columns=[
            column("#", 11, "right"),
            column("When (UTC), type, agent", -1),
            column("Status", 21),
            column("ms", 15, "right"),
            column("Tokens", 16, "right"),
            column("Cents", 17, "right"),
            column("SHA-256 begins", 31),
        ],
        rows=rows,
        marked=marked,
        text=[
            f"{count(trace['step_count'], 'step').capitalize()}."
            + (
                f" The violation is at step {violating}, which is marked."
                if violating is not None
                else ""
            )
            + " The hashes are given in full in the attached JSON."
        ],
    )


def _step(step: Step, *, marked: bool) -> list[list[Cell]]:
    """The step's own row, and one with the beginning of its content if that is in the bundle."""
    agent = f" · {step['agent_id']}" if step["agent_id"] else ""
    own: list[Cell] = [
        str(step["step_index"]),
        lines(
            f"{step['timestamp'][11:23].rstrip('Z')} · {step['step_type']}{agent}",
            "violation" if marked else None,
        ),
        verdict(step["status"]) if step["status"] else "—",
        dash(step["duration_ms"]),
        dash(step["tokens"]),
        _amount(step["cost_cents"]),
        exact(step["sha256"][:16]) if step["sha256"] else "no content",
    ]
    content = step.get("content")
    return [own, [{"wide": shorten(content, _EXCERPT)}]] if content else [own]


def _worth_showing(steps: Sequence[Step], violating: int | None) -> list[int]:
    """The first and last steps, and those around the violation, when all would be too many."""
    if len(steps) <= MOST_STEPS:
        return list(range(len(steps)))
    third = MOST_STEPS // 3
    chosen = {*range(third), *range(len(steps) - third, len(steps))}
    if violating is not None:
        place = next((n for n, step in enumerate(steps) if step["step_index"] == violating), None)
        if place is not None:
            chosen |= {*range(max(0, place - third // 2), min(len(steps), place + third // 2))}
    return sorted(chosen)


def failures(bundle: Bundle) -> Section:
    listed = bundle["failures"]
    rows: list[list[Cell]] = [
        [
            moment(failure["occurred_at"]),
            lines(failure["error_code"], failure["failure_type"].replace("_", " ")),
            lines(
                shorten(failure["error_message"] or "no message", _EXCERPT),
                identifier(failure["run_id"]),
            ),
            lines(dash(failure["model"]), _length(failure["duration_ms"])),
        ]
        for failure in listed[:MOST_ROWS]
    ]
    return section(
        "Failures",
        columns=[
            column("When", 41),
            column("Error", 42),
            column("Message and run", -1),
            column("Model", 26),
        ],
        rows=rows,
        empty="No failure was recorded.",
        note=_left_out(len(listed), MOST_ROWS, "failure"),
    )


def violations(bundle: Bundle) -> Section:
    listed = bundle["violations"]
    rows: list[list[Cell]] = [
        [
            moment(violation["occurred_at"]),
            badge(violation["severity"]),
            lines(identifier(violation["policy_id"]), identifier(violation["rule_id"])),
            lines(
                shorten(violation["reason"] or "no reason given", _EXCERPT),
                identifier(violation["run_id"]),
            ),
            lines(
                f"found {shorten(dash(violation['evaluated_value']), 60)}",
                f"allowed {shorten(dash(violation['threshold_condition']), 60)}",
            ),
        ]
        for violation in listed[:MOST_ROWS]
    ]
    return section(
        "Policy violations",
        columns=[
            column("When", 41),
            column("Severity", 21),
            column("Policy and rule", 32),
            column("Reason and run", -1),
            column("Value", 27),
        ],
        rows=rows,
        empty="No policy violation was recorded.",
        note=_left_out(len(listed), MOST_ROWS, "violation"),
    )


def evidence(bundle: Bundle) -> Section:
    listed = bundle["evidence"]
    return section(
        "Evidence",
        columns=[column("Captured", 41), column("Kind", 30), column("Payload and SHA-256", -1)],
        rows=[_payload(item) for item in listed[:MOST_ROWS]],
        empty="No evidence was recorded.",
        note=_left_out(len(listed), MOST_ROWS, "payload"),
    )


def _payload(item: EvidenceFacts) -> list[Cell]:
    recovery = {True: "recovery was executed", False: "recovery was not executed", None: None}
    return [
        moment(item["captured_at"]),
        lines(item["kind"].replace("_", " "), recovery[item["recovery_executed"]]),
        lines(identifier(shorten(item["data"], _EXCERPT)), exact(item["sha256"])),
    ]


def rules(bundle: Bundle) -> Section:
    listed = bundle["rules_in_force"]
    rows: list[list[Cell]] = [
        [
            lines(rule["name"], f"revision {rule['revision']}, {dash(rule['policy_type'])}"),
            badge(rule["mode"]),
            lines(*[f"{name} = {value}" for name, value in sorted(rule["matches"].items())]),
            moment(rule["in_force_since"]),
            dash(rule["preventions"]),
        ]
        for rule in listed[:MOST_ROWS]
    ]
    return section(
        "Rules in force when the incident started",
        columns=[
            column("Rule", -1),
            column("Mode", 19),
            column("Matches", -1),
            column("Since", 41),
            column("Prevented", 20, "right"),
        ],
        rows=rows,
        empty="No rule of this kind was in force.",
        note=_left_out(len(listed), MOST_ROWS, "rule"),
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
        note=_left_out(len(lessons), MOST_ROWS, "lesson"),
    )


def limits(bundle: Bundle) -> list[Section]:
    """What was taken out, and what is not there."""
    redacted, gaps = bundle["redactions"], bundle["gaps"]
    return [
        section(
            "Redactions",
            columns=[column("What", 50), column("Why", -1), column("Where in the JSON", 46)],
            rows=[
                [
                    shorten(item["what"], _EXCERPT),
                    shorten(item["reason"], _EXCERPT),
                    identifier(item["pointer"]),
                ]
                for item in redacted[:MOST_ROWS]
            ],
            empty="Nothing was redacted.",
            note=_left_out(len(redacted), MOST_ROWS, "redaction"),
        ),
        section(
            "Gaps",
            columns=[column("What about", 60), column("What is missing", -1)],
            rows=[
                [shorten(gap["subject"], _EXCERPT), shorten(gap["detail"], _EXCERPT)]
                for gap in gaps[:MOST_ROWS]
            ],
            empty="No gap is known.",
            note=_left_out(len(gaps), MOST_ROWS, "gap"),
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


def _left_out(total: int, shown: int, noun: str) -> str:
    if total <= shown:
        return ""
    return f"{count(total - shown, f'further {noun}')} can be read in the attached JSON."


def _when(at: str | None) -> str:
    return moment(at) if at else "—"


def _amount(amount: str | None) -> str:
    return number(cents(amount).removesuffix(" cents")) if amount is not None else "—"


def _length(milliseconds: int | None) -> str | None:
    return f"{number(f'{milliseconds:,}')} ms" if milliseconds is not None else None
