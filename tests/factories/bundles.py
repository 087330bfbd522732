"""Bundles as an export puts them together, built from plain values."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from exports.services import controls, debrief

STARTED = datetime(2026, 11, 16, 18, 15, 4, 250_000, tzinfo=UTC)


def moment(seconds: float = 0) -> str:
    """A time so many seconds after the incident started, as bundles write it."""
    at = STARTED + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(number: int) -> str:
    """A UUIDv7 that is the same in every run."""
    return f"019ab000-0000-7000-8000-{number:012x}"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


STEPS = [
    ("system", None, "You plan, the coder writes, the reviewer checks. Use the ledger tool."),
    ("user", None, "Reconcile the October invoices of the northern region with the ledger."),
    ("assistant", "planner", "Fetch the invoices, then the ledger entries; compare per customer."),
    ("tool", "coder", "GET ledger/2026-10 -> 412 rows"),
    ("assistant", "coder", "The ledger call timed out twice; going on with the 412 rows I have."),
    ("tool", "coder", "GET invoices/2026-10 -> 530 rows"),
    ("assistant", "reviewer", "118 invoices have no ledger row. Reporting them as unpaid."),
]


def trace(*, steps: int = len(STEPS), content: bool = False) -> dict[str, Any]:
    listed = []
    for index in range(steps):
        step_type, agent, text = STEPS[index % len(STEPS)]
        step = {
            "step_index": index,
            "timestamp": moment(-30 + index),
            "step_type": step_type,
            "agent_id": agent,
            "tokens": 180 + 37 * index,
            "cost_cents": f"{0.04 * (index + 1):.4f}",
            "duration_ms": 420 + 13 * index,
            "status": "failed" if index == 4 else "succeeded",
            "sha256": sha256(text),
        }
        if content:
            step["content"] = text
        listed.append(step)
    return {
        "trace_id": "trace-7f3a",
        "step_count": steps,
        "violation_step_index": 4 if steps > 4 else None,
        "violation_timestamp": moment(-26) if steps > 4 else None,
        "steps": listed,
    }


def evidence(*, content: bool = False, steps: int = len(STEPS)) -> dict[str, Any]:
    """A resolved, high incident with something of everything."""
    captured = json.dumps(
        {"error_code": "RATE_LIMIT_EXCEEDED", "model": "large-2", "retry_after_s": 30},
        separators=(",", ":"),
        sort_keys=True,
    )
    calls = [3, 9, 14, 22, 31, 40, 38, 27, 12, 6, 0, 1]
    points = [
        {"at": moment(60 * i), "alerts": n + n // 4, "calls": n, "cost_cents": f"{n * 1.75:.4f}"}
        for i, n in enumerate(calls)
    ]
    alerts = sum(point["alerts"] for point in points)
    return {
        "format": "firebreak-bundle/1",
        "bundle_type": "evidence",
        "id": identifier(1),
        "generated_at": moment(90_000),
        "generator": {"name": "Firebreak", "version": "0.1.0"},
        "tenant": {"id": "northwind", "name": "Northwind Traders"},
        "requested_by": "Ada Lovelace (key: compliance)",
        "reason": "Quarterly review of the October outage",
        "prepared_for": None,
        "period": None,
        "auditor_notes": None,
        "selection": {
            "rule": "All alerts that were folded into this incident, the runs they name, and the "
            "failures, violations and evidence of those runs.",
            "alerts_covered": alerts,
            "calls_covered": sum(calls),
            "runs_covered": 2,
            "first_alert_at": moment(),
            "last_alert_at": moment(60 * 11 + 3),
            "raw_steps_included": content,
        },
        "incident": {
            "id": identifier(2),
            "title": "rate_limit: large-2 refuses calls of the reconciliation agents",
            "description": "Calls to large-2 were refused while the nightly batch was running.",
            "status": "resolved",
            "severity": "high",
            "category": "rate_limit",
            "trigger_type": "rate_limit",
            "trigger_value": "429 from upstream",
            "group_key": "large-2",
            "cause_type": "llm_run",
            "source_type": "failure",
            "calls_affected": sum(calls),
            "alerts_count": alerts,
            "cost_delta_cents": f"{sum(calls) * 1.75:.4f}",
            "assignee": "ada",
            "window_start": moment(-4.25),
            "started_at": moment(),
            "last_seen_at": moment(60 * 11 + 3),
            "created_at": moment(1.2),
            "acknowledged_at": moment(312),
            "acknowledged_by": "ada via api key triage",
            "resolved_at": moment(4_980),
            "resolved_by": "ada via api key triage",
            "resolution_method": "rollback",
            "resolution_type": "real",
            "resolution_summary": "The batch was moved to its own quota and the rollout undone.",
            "postmortem_id": None,
            "run_id": "recon-2026-11-16",
            "agent_id": "planner",
            "model": "large-2",
            "error_code": "RATE_LIMIT_EXCEEDED",
            "error_message": "429: quota of large-2 used up, retry after 30 s",
            "auto_action": None,
            "signature": None,
            "metadata": None,
            "is_synthetic": False,
            "synthetic_scenario_id": None,
        },
        "milestones": {
            "detected": {
                "at": moment(1.2),
                "actor": None,
                "via": None,
                "source": "when it was opened",
            },
            "acknowledged": {
                "at": moment(312),
                "actor": "ada",
                "via": "triage",
                "source": "the timeline",
            },
            "contained": {
                "at": moment(663),
                "actor": None,
                "via": None,
                "source": "the last alert",
            },
            "resolved": {
                "at": moment(4_980),
                "actor": "ada",
                "via": "triage",
                "source": "the timeline",
            },
        },
        "timeline": [
            entry(10, 1.2, "opened", None, "Opened by a failure of run recon-2026-11-16."),
            entry(11, 130, "escalated", None, "Severity raised from medium to high: 50 calls."),
            entry(12, 312, "acknowledged", "ada", "Acknowledged."),
            entry(13, 330, "assigned", "ada", "Assigned to ada."),
            entry(14, 900, "commented", "grace", "Upstream confirms: quota shared with the batch."),
            entry(15, 4_980, "resolved", "ada", "Resolved by rollback: the batch has its quota."),
        ],
        "runs": [
            {
                "run_id": "recon-2026-11-16",
                "agent_id": "planner",
                "goal": "Reconcile the October invoices of the northern region with the ledger.",
                "status": "failed",
                "started_at": moment(-31),
                "completed_at": moment(2),
                "termination_reason": "RATE_LIMIT_EXCEEDED",
                "error": None,
                "total_tokens": 8_214,
                "total_cost_cents": "14.2210",
                "trace": trace(content=content, steps=steps),
            },
            {
                "run_id": "recon-2026-11-16-b",
                "agent_id": "coder",
                "goal": None,
                "status": "failed",
                "started_at": moment(40),
                "completed_at": None,
                "termination_reason": None,
                "error": None,
                "total_tokens": None,
                "total_cost_cents": None,
                "trace": None,
            },
        ],
        "failures": [
            {
                "id": identifier(30),
                "run_id": "recon-2026-11-16",
                "failure_type": "exception",
                "error_code": "RATE_LIMIT_EXCEEDED",
                "error_message": "429: quota of large-2 used up, retry after 30 s",
                "model": "large-2",
                "request_id": "req-81",
                "duration_ms": 1_204,
                "occurred_at": moment(),
            }
        ],
        "violations": [
            {
                "id": identifier(40),
                "run_id": "recon-2026-11-16",
                "policy_id": "retry-budget",
                "rule_id": "max-retries",
                "policy_type": "retry_policy",
                "severity": "medium",
                "reason": "More retries than the policy allows",
                "evaluated_value": "7",
                "threshold_condition": "<= 5",
                "occurred_at": moment(1),
            }
        ],
        "evidence": [
            {
                "id": identifier(50),
                "kind": "llm_failure",
                "captured_at": moment(0.4),
                "captured_by": None,
                "via": "api key ingest",
                "run_id": "recon-2026-11-16",
                "sha256": sha256(captured),
                "recovery_executed": False,
                "data": captured,
            }
        ],
        "rules_in_force": [
            {
                "id": identifier(60),
                "name": "Drop alerts of retired models",
                "revision": 3,
                "policy_type": "rate_limit_policy",
                "mode": "shadow",
                "matches": {"trigger_type": "rate_limit", "error_code": "RATE_LIMIT_EXCEEDED"},
                "in_force_since": moment(-86_400 * 9),
                "in_force_until": None,
                "preventions": 0,
            }
        ],
        "recurrence": {
            "window_days": 30,
            "occurrences": 3,
            "incident_ids": [identifier(n) for n in (70, 71, 72)],
        },
        "lessons": [
            {
                "id": identifier(80),
                "lesson_type": "failure",
                "title": "Give batch work its own quota",
                "status": "pending",
                "severity": "high",
                "proposed_action": "A rule on RATE_LIMIT_EXCEEDED of large-2",
                "created_at": moment(5_000),
            }
        ],
        "totals": {
            "alerts": alerts,
            "calls": sum(calls),
            "runs": 2,
            "agents": 3,
            "steps": steps,
            "failures": 1,
            "violations": 1,
            "evidence": 1,
            "events": 6,
            "tokens": 8_214,
        },
        "cost": {
            "incident_cents": f"{sum(calls) * 1.75:.4f}",
            "runs_cents": "14.2210",
            "anomalies_cents": None,
        },
        "series": {"bucket_seconds": 60, "points": points},
        "redactions": []
        if content
        else [
            {
                "pointer": "/runs/0/trace/steps",
                "what": "content of 7 steps",
                "reason": "Raw content was not asked for; each step's hash is given.",
            }
        ],
        "gaps": [
            {
                "subject": "run recon-2026-11-16-b",
                "detail": "No trace was received for this run.",
            }
        ],
        "attestation": {
            "signer": "Firebreak at northwind",
            "algorithm": "Ed25519",
            "key_id": "0123456789abcdef",
            "statement": "The key named here signed the RFC 8785 form of this bundle when it was "
            "exported. The signature says that the bundle is unchanged since; it does not say "
            "that what was reported to Firebreak is true.",
            "checks": [
                {
                    "name": "evidence hashes",
                    "passed": True,
                    "detail": "1 of 1 payloads has the SHA-256 that was kept with it.",
                },
                {
                    "name": "step hashes",
                    "passed": True,
                    "detail": "7 of 7 steps have the SHA-256 that was kept with them.",
                },
            ],
        },
    }


def entry(number: int, seconds: float, kind: str, actor: str | None, text: str) -> dict[str, Any]:
    return {
        "id": identifier(number),
        "at": moment(seconds),
        "event_type": kind,
        "actor": actor,
        "via": "api key triage" if actor else "aggregation",
        "description": text,
    }


def bare() -> dict[str, Any]:
    """An open incident made by hand, about which nothing is known."""
    bundle = evidence()
    bundle["incident"] |= {
        "title": "Something is odd",
        "description": None,
        "status": "open",
        "severity": "low",
        "category": None,
        "trigger_type": "manual",
        "trigger_value": None,
        "group_key": identifier(2),
        "cause_type": "human",
        "source_type": "manual",
        "calls_affected": 0,
        "alerts_count": 0,
        "cost_delta_cents": "0.0000",
        "assignee": None,
        "last_seen_at": moment(),
        "created_at": moment(),
        "acknowledged_at": None,
        "acknowledged_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "run_id": None,
        "agent_id": None,
        "model": None,
        "error_code": None,
        "error_message": None,
        "resolution_method": None,
        "resolution_type": None,
        "resolution_summary": None,
    }
    bundle["selection"] |= {
        "alerts_covered": 0,
        "calls_covered": 0,
        "runs_covered": 0,
        "first_alert_at": None,
        "last_alert_at": None,
    }
    bundle["milestones"] = dict.fromkeys(("detected", "acknowledged", "contained", "resolved"))
    for name in [
        "timeline",
        "runs",
        "failures",
        "violations",
        "evidence",
        "rules_in_force",
        "lessons",
        "redactions",
        "gaps",
    ]:
        bundle[name] = []
    bundle["recurrence"] |= {"occurrences": 0, "incident_ids": []}
    bundle["totals"] = dict.fromkeys(bundle["totals"], 0) | {"tokens": None}
    bundle["cost"] = {"incident_cents": "0.0000", "runs_cents": None, "anomalies_cents": None}
    bundle["series"] = {"bucket_seconds": 60, "points": []}
    bundle["attestation"]["checks"] = []
    bundle["reason"] = None
    return bundle


def without(bundle: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy of ``bundle`` with top-level members replaced."""
    return copy.deepcopy(bundle) | changes


def soc2(facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """A SOC 2 bundle over these facts."""
    bundle: Any = facts or evidence()
    return bundle | {
        "bundle_type": "soc2",
        "period": {"start": "2026-10-01T00:00:00.000Z", "end": "2027-01-01T00:00:00.000Z"},
        "controls": controls.assess(bundle),
    }


def executive(facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """An executive debrief over these facts."""
    bundle: Any = facts or evidence()
    return bundle | {"bundle_type": "executive_debrief"} | debrief.compose(bundle)


KINDS = {"evidence": lambda facts=None: facts or evidence(), "soc2": soc2, "debrief": executive}


def at(bundle: Any, pointer: str) -> Any:
    """What stands at a JSON pointer; KeyError or IndexError when there is nothing."""
    value = bundle
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value
