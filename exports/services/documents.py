"""The shape of a bundle: what stands in the document that is sealed.

Only strings, integers, booleans, null, lists and objects. Times are RFC 3339 in UTC with ``Z``;
money is a decimal string in cents (names end in ``_cents``); durations are integers in
milliseconds (``_ms``) or seconds (``_seconds``). A figure without data is null, never 0, and a
list without members says that nothing was found. Pointers are JSON pointers (RFC 6901) into the
bundle itself.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

FORMAT = "firebreak-bundle/1"

Severity = Literal["low", "medium", "high", "critical"]
ControlStatusName = Literal["demonstrated", "partial", "no_evidence", "not_applicable"]


class Generator(TypedDict):
    name: str
    version: str


class TenantFacts(TypedDict):
    id: str
    name: str


class Period(TypedDict):
    """The compliance period that the bundle was asked for, its end not included."""

    start: str
    end: str


class Selection(TypedDict):
    """Which records the bundle is about: the rule in words, and how many it took in."""

    rule: str
    alerts_covered: int
    calls_covered: int
    runs_covered: int
    first_alert_at: str | None
    last_alert_at: str | None
    raw_steps_included: bool


class IncidentFacts(TypedDict):
    """The incident as its detail shows it; ``metadata`` is JSON text, as a bundle has no floats."""

    id: str
    title: str
    description: str | None
    status: Literal["open", "acknowledged", "resolved"]
    severity: Severity
    category: str | None
    trigger_type: str
    trigger_value: str | None
    group_key: str
    cause_type: str
    source_type: str
    calls_affected: int
    alerts_count: int
    cost_delta_cents: str
    assignee: str | None
    window_start: str
    started_at: str
    last_seen_at: str
    created_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    resolved_at: str | None
    resolved_by: str | None
    resolution_method: str | None
    resolution_type: str | None
    resolution_summary: str | None
    postmortem_id: str | None
    run_id: str | None
    agent_id: str | None
    model: str | None
    error_code: str | None
    error_message: str | None
    auto_action: str | None
    signature: str | None
    metadata: str | None
    is_synthetic: bool
    synthetic_scenario_id: str | None


class Milestone(TypedDict):
    """``actor`` is the person, null when none is named; ``via`` the key, command or page that the
    act came through, null when the timeline does not tell. ``source`` says what the time is from.
    """

    at: str
    actor: str | None
    via: str | None
    source: str


class Milestones(TypedDict):
    detected: Milestone | None
    acknowledged: Milestone | None
    contained: Milestone | None
    resolved: Milestone | None


class TimelineEntry(TypedDict):
    """``actor`` is the person, ``via`` the key, command or page that the act came through."""

    id: str
    at: str
    event_type: str
    actor: str | None
    via: str
    description: str


class Step(TypedDict):
    """A trace step; ``sha256`` is over its content as it was received, null without content.

    ``content`` is present only when the raw steps were asked for.
    """

    step_index: int
    timestamp: str
    step_type: str
    agent_id: str | None
    tokens: int | None
    cost_cents: str | None
    duration_ms: int | None
    status: str | None
    sha256: str | None
    content: NotRequired[str | None]


class Trace(TypedDict):
    trace_id: str
    step_count: int
    violation_step_index: int | None
    violation_timestamp: str | None
    steps: list[Step]


class RunFacts(TypedDict):
    run_id: str
    agent_id: str | None
    goal: str | None
    status: str
    started_at: str | None
    completed_at: str | None
    termination_reason: str | None
    error: str | None
    total_tokens: int | None
    total_cost_cents: str | None
    trace: Trace | None


class FailureFacts(TypedDict):
    id: str
    run_id: str
    failure_type: str
    error_code: str
    error_message: str | None
    model: str | None
    request_id: str | None
    duration_ms: int | None
    occurred_at: str


class ViolationFacts(TypedDict):
    id: str
    run_id: str
    policy_id: str
    rule_id: str
    policy_type: str | None
    severity: Severity
    reason: str | None
    evaluated_value: str | None
    threshold_condition: str | None
    occurred_at: str


class EvidenceFacts(TypedDict):
    """A captured payload: ``data`` is its JSON text, ``sha256`` is over that text's UTF-8 bytes."""

    id: str
    kind: str
    captured_at: str
    captured_by: str | None
    via: str
    run_id: str | None
    sha256: str
    recovery_executed: bool | None
    data: str


class RuleFacts(TypedDict):
    """A revision of a rule that was in force between the incident's start and its end.

    ``preventions`` counts the reports that this revision kept out of the incidents.
    """

    id: str
    name: str
    revision: int
    policy_type: str | None
    mode: Literal["shadow", "active"]
    matches: dict[str, str]
    in_force_since: str
    in_force_until: str | None
    preventions: int


class Recurrence(TypedDict):
    """Earlier and later incidents of the same kind within the window, this one not counted."""

    window_days: int
    occurrences: int
    incident_ids: list[str]


class LessonFacts(TypedDict):
    id: str
    lesson_type: str
    title: str
    status: Literal["pending", "deferred", "dismissed", "converted_to_draft"]
    severity: Severity | None
    proposed_action: str | None
    created_at: str


class Totals(TypedDict):
    alerts: int
    calls: int
    runs: int
    agents: int
    steps: int
    failures: int
    violations: int
    evidence: int
    events: int
    tokens: int | None


class CostFacts(TypedDict):
    """``incident_cents`` is what the alerts reported, ``runs_cents`` what the runs cost.

    ``anomalies_cents`` is what cost anomalies of these runs reported; null when none did.
    """

    incident_cents: str
    runs_cents: str | None
    anomalies_cents: str | None


class SeriesPoint(TypedDict):
    """What one bucket saw: alerts, distinct calls first seen in it, and their cost."""

    at: str
    alerts: int
    calls: int
    cost_cents: str


class Series(TypedDict):
    """Buckets of equal length from the first alert to the last, empty ones included."""

    bucket_seconds: int
    points: list[SeriesPoint]


class Redaction(TypedDict):
    pointer: str
    what: str
    reason: str


class Gap(TypedDict):
    """Something that a reader would look for here and that was not recorded."""

    subject: str
    detail: str


class AttestedCheck(TypedDict):
    """One thing that was checked when the bundle was made, and what came out."""

    name: str
    passed: bool
    detail: str


class Attestation(TypedDict):
    """Who signs, with which key, and what exactly was checked; nothing more is claimed."""

    signer: str
    algorithm: Literal["Ed25519"]
    key_id: str
    statement: str
    checks: list[AttestedCheck]


class Bundle(TypedDict):
    """What every bundle holds; an evidence bundle holds nothing else."""

    format: str
    bundle_type: str
    id: str
    generated_at: str
    generator: Generator
    tenant: TenantFacts
    requested_by: str
    reason: str | None
    prepared_for: str | None
    period: Period | None
    auditor_notes: str | None
    selection: Selection
    incident: IncidentFacts
    milestones: Milestones
    timeline: list[TimelineEntry]
    runs: list[RunFacts]
    failures: list[FailureFacts]
    violations: list[ViolationFacts]
    evidence: list[EvidenceFacts]
    rules_in_force: list[RuleFacts]
    recurrence: Recurrence
    lessons: list[LessonFacts]
    totals: Totals
    cost: CostFacts
    series: Series
    redactions: list[Redaction]
    gaps: list[Gap]
    attestation: Attestation


class ControlFact(TypedDict):
    """One named fact a control's status is computed from, and where in the bundle it stands.

    ``holds`` is null when the fact cannot apply to this incident.
    """

    name: str
    holds: bool | None
    found: str
    sources: list[str]


class Control(TypedDict):
    id: str
    title: str
    subject: str
    status: ControlStatusName
    explanation: str
    facts: list[ControlFact]


class Soc2Bundle(Bundle):
    controls: list[Control]


class Sentence(TypedDict):
    """One sentence, and the fields of the bundle that it is made from."""

    text: str
    sources: list[str]


class RiskLevel(TypedDict):
    level: Severity
    because: list[Sentence]


class ExecutiveBundle(Bundle):
    summary: list[Sentence]
    risk_level: RiskLevel
    business_impact: list[Sentence]
    recommendations: list[Sentence]
