"""What was found about an incident's runs: traces, failures, violations and evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exports.services.documents import Bundle, EvidenceFacts, RunFacts, Step
from exports.services.presentation.blocks import (
    EXCERPT,
    MOST_ROWS,
    Cell,
    Column,
    Mono,
    Section,
    badge,
    column,
    dash,
    exact,
    identifier,
    left_out,
    lines,
    number,
    section,
    verdict,
)
from exports.services.wording import any_of, cents, count, moment, shorten

MOST_STEPS = 60
MOST_TRACES = 12
# Of a payload; the attached JSON has all of it.
MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class _Figure:
    """What a step may tell of itself: a column where some step of the trace does."""

    key: Literal["status", "duration_ms", "tokens", "cost_cents"]
    noun: str
    column: Column

    def cell(self, step: Step) -> Cell:
        value = step[self.key]
        if value is None or value == "":
            return "—"
        if self.key == "status":
            return verdict(str(value))
        return _amount(str(value)) if self.key == "cost_cents" else dash(value)


_FIGURES = (
    _Figure("status", "its status", column("Status", 21)),
    _Figure("duration_ms", "how long it took", column("ms", 15, "right")),
    _Figure("tokens", "its tokens", column("Tokens", 16, "right")),
    _Figure("cost_cents", "its cost", column("Cents", 17, "right")),
)


def runs(bundle: Bundle) -> list[Section]:
    listed = bundle["runs"]
    rows: list[list[Cell]] = [
        [
            lines(identifier(run["run_id"]), shorten(run["goal"] or "", 160)),
            badge(run["status"]),
            identifier(run["agent_id"]) if run["agent_id"] else "—",
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
            column("Agent", 36),
            column("Steps", 16, "right"),
            column("Tokens", 18, "right"),
            column("Cost, cents", 21, "right"),
        ],
        rows=rows,
        empty="No run is linked to this incident.",
        note=left_out(len(listed), "run"),
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
    told = [figure for figure in _FIGURES if any(step[figure.key] is not None for step in steps)]
    silent = [figure.noun for figure in _FIGURES if figure not in told]
    rows: list[list[Cell]] = []
    marked: list[int] = []
    previous = -1
    for place in shown:
        step = steps[place]
        if place != previous + 1:
            rows.append(_skipped(place - previous - 1, told))
        previous = place
        mine = _step(step, told, marked=step["step_index"] == violating)
        if step["step_index"] == violating:
            marked.extend(range(len(rows), len(rows) + len(mine)))
        rows.extend(mine)
    left = len(steps) - 1 - previous
    if left:
        rows.append(_skipped(left, told))
    return section(
        f"Trace of run {shorten(run['run_id'], 130)}",
        level=2,
        columns=[
            column("#", 11, "right"),
            column("When (UTC), type, agent", -1),
            *[figure.column for figure in told],
            column("SHA-256 begins", 31),
        ],
        rows=rows,
        marked=marked,
        text=[
            f"Trace {shorten(trace['trace_id'], 130)}, {count(trace['step_count'], 'step')}."
            + (
                f" The violation is at step {violating}, which is marked."
                if violating is not None
                else ""
            )
            + (f" No step tells {any_of(silent)}." if silent else "")
            + " The hashes are given in full in the attached JSON."
        ],
    )


def _skipped(number: int, told: Sequence[_Figure]) -> list[Cell]:
    return ["⋯", f"{count(number, 'step')} in the attached JSON", *[""] * len(told), ""]


def _step(step: Step, told: Sequence[_Figure], *, marked: bool) -> list[list[Cell]]:
    """The step's own row, and one with the beginning of its content if that is in the bundle."""
    agent = f" · {step['agent_id']}" if step["agent_id"] else ""
    own: list[Cell] = [
        str(step["step_index"]),
        lines(
            f"{step['timestamp'][11:23].rstrip('Z')} · {step['step_type']}{agent}",
            "violation" if marked else None,
        ),
        *[figure.cell(step) for figure in told],
        exact(step["sha256"][:16]) if step["sha256"] else "no content",
    ]
    content = step.get("content")
    return [own, [{"wide": shorten(content, EXCERPT)}]] if content else [own]


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
                shorten(failure["error_message"] or "no message", EXCERPT),
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
        note=left_out(len(listed), "failure"),
    )


def violations(bundle: Bundle) -> Section:
    listed = bundle["violations"]
    rows: list[list[Cell]] = [
        [
            moment(violation["occurred_at"]),
            badge(violation["severity"]),
            lines(identifier(violation["policy_id"]), identifier(violation["rule_id"])),
            lines(
                shorten(violation["reason"] or "no reason given", EXCERPT),
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
        note=left_out(len(listed), "violation"),
    )


def evidence(bundle: Bundle) -> Section:
    listed = bundle["evidence"]
    return section(
        "Evidence",
        columns=[column("Captured", 41), column("Kind", 30), column("Payload and SHA-256", -1)],
        rows=[_payload(item) for item in listed[:MOST_ROWS]],
        empty="No evidence was recorded.",
        note=left_out(len(listed), "payload"),
    )


def _payload(item: EvidenceFacts) -> list[Cell]:
    recovery = {True: "recovery was executed", False: "recovery was not executed", None: None}
    return [
        moment(item["captured_at"]),
        lines(item["kind"].replace("_", " "), recovery[item["recovery_executed"]]),
        lines(*_told(item["data"]), exact(item["sha256"])),
    ]


def _told(text: str) -> list[str | Mono]:
    """A payload for a reader: what it says under each of its names, one below the other."""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or not data:
        return [identifier(shorten(text, EXCERPT))]
    named = [
        f"{shorten(name, 60)}: {shorten(_plain(value), EXCERPT)}"
        for name, value in list(data.items())[:MOST_NAMES]
    ]
    if len(data) > MOST_NAMES:
        more = count(len(data) - MOST_NAMES, "further name")
        named.append(f"{more} can be read in the attached JSON.")
    return list(named)


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _amount(amount: str | None) -> str:
    return number(cents(amount).removesuffix(" cents")) if amount is not None else "—"


def _length(milliseconds: int | None) -> str | None:
    return f"{number(f'{milliseconds:,}')} ms" if milliseconds is not None else None
