"""One good request for every operation: what it sends, and which objects it names.

An operation that is not here fails tests.architecture.test_access.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from config import clock
from config.api.values import format_timestamp
from tests.factories.world import CATEGORY, POLICY, RUN
from tests.incidents.senders import spans

Ids = Mapping[str, str]
_PARTS = {
    "run_id": "run",
    "category": "category",
    "prefix": "prefix",
    "delivery": "delivery",
}
_SUBJECTS = {
    "incidents": "incident",
    "policy-rules": "rule",
    "violations": "violation",
    "webhooks": "webhook",
    "lessons": "lesson",
    "proposals": "proposal",
    "exports": "bundle",
}


@dataclass
class Operation:
    """``body`` and ``query`` are values, or are made from the ids of the world that is named."""

    body: Any = None
    query: Any = field(default_factory=dict)
    # Which of the world's objects the address names, where it is not the usual one.
    subject: str | None = None
    status: int = 200
    content_type: str = "application/json"
    # Whether the tenant that calls gets another answer when it names what is not its own.
    names: bool = False

    def send(
        self, key: str, ids: Ids, *, client: Client | None = None, method: str | None = None
    ) -> Any:
        """Sends it; ``key`` is ``METHOD route``, ``ids`` say which objects it is about."""
        own, _, address = key.partition(" ")
        return (client or Client()).generic(
            method or own,
            self.path(address, ids),
            self.data(ids),
            content_type=self.content_type,
            query_params=_made(self.query, ids),
        )

    def path(self, address: str, ids: Ids) -> str:
        def fill(part: re.Match[str]) -> str:
            name = part[1]
            if name == "pk":
                name = self.subject or _SUBJECTS[address.split("/")[2]]
            return ids[_PARTS.get(name, name)]

        return "/" + re.sub(r"<(\w+)>", fill, address)

    def data(self, ids: Ids) -> bytes:
        body = _made(self.body, ids)
        if body is None or isinstance(body, bytes):
            return body or b""
        return json.dumps(body).encode()


def _made(value: Any, ids: Ids) -> Any:
    return value(ids) if callable(value) else value


def _now() -> str:
    return format_timestamp(clock.now())


ALERT = {"trigger_type": "content_policy", "call_id": "a-new-call", "run_id": RUN}
WEBHOOK = {"url": "https://hooks.example/new", "events": ["opened"]}
RULE = {"name": "new", "mode": "shadow", "trigger_type": "freeze"}
LESSON = {"lesson_type": "failure", "title": "t", "description": "d"}
SENTRY = {"action": "triggered", "data": {"event": {"event_id": "e" * 32, "title": "T"}}}
NOTIFICATION = {
    "version": "4",
    "groupKey": "g",
    "status": "firing",
    "receiver": "r",
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Down"},
            "annotations": {},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "f" * 16,
        }
    ],
}

OPERATIONS: dict[str, Operation] = {
    "GET api/v1/whoami/": Operation(),
    # Reports. A run or call that a tenant does not know is a new one of its own.
    "POST api/v1/alerts/": Operation(ALERT, status=201),
    "POST api/v1/alerts/batch/": Operation({"alerts": [ALERT]}),
    "POST api/v1/runs/": Operation({"run_id": "a-new-run", "goal": "g"}, status=201),
    "POST api/v1/runs/<run_id>/complete/": Operation({"status": "failed"}),
    "PUT api/v1/runs/<run_id>/trace/": Operation(
        lambda ids: {
            "trace_id": "trace",
            "steps": [{"step_index": 2, "timestamp": _now(), "step_type": "tool"}],
        },
        # Its own run's steps are evidence of an incident by now, and none may be taken out.
        status=409,
        names=True,
    ),
    "POST api/v1/runs/<run_id>/failure/": Operation(
        {"failure_type": "timeout", "error_code": "EXECUTION_TIMEOUT", "request_id": "another"},
        status=201,
    ),
    "POST api/v1/violations/": Operation(
        {"run_id": RUN, "policy_id": POLICY, "rule_id": "another"}, status=201
    ),
    "POST api/v1/policy-evaluations/": Operation(
        {"run_id": "a-new-run", "outcome": "ok", "policies_checked": 1, "confidence": 1},
        status=201,
    ),
    "POST api/v1/cost-records/": Operation(
        {"request_id": "another", "run_id": RUN, "cost_cents": "1"}, status=201
    ),
    "POST api/v1/cost-anomalies/": Operation(
        {
            "anomaly_id": "another",
            "kind": "ABSOLUTE_SPIKE",
            "severity": "high",
            "cost_delta_cents": "1",
            "run_id": RUN,
        },
        status=201,
    ),
    "POST api/v1/senders/alertmanager/": Operation(NOTIFICATION),
    "POST api/v1/senders/cloudevents/": Operation(
        {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/tests",
            "type": "failure_spike",
            "data": {},
        },
        content_type="application/cloudevents+json",
        status=201,
    ),
    "POST api/v1/senders/sentry/<prefix>/": Operation(SENTRY, status=201, names=True),
    "GET api/v1/senders/settings/": Operation(),
    "PATCH api/v1/senders/settings/": Operation({"keep_prompts": True}),
    "POST v1/traces": Operation(
        lambda ids: spans.protobuf(spans.span()), content_type="application/x-protobuf"
    ),
    "POST api/public/otel/v1/traces": Operation(
        lambda ids: spans.as_json(spans.span(id=b"s" * 8)), content_type="application/json"
    ),
    # Incidents.
    "GET api/v1/incidents/": Operation(query={"run_id": RUN, "search": "failure"}),
    "GET api/v1/incidents/count/": Operation(query={"run_id": RUN}),
    "POST api/v1/incidents/": Operation({"title": "Seen", "severity": "low"}, status=201),
    "POST api/v1/incidents/bulk/": Operation(
        lambda ids: {"action": "acknowledge", "ids": [ids["incident"]]}, names=True
    ),
    "GET api/v1/incidents/<pk>/": Operation(names=True),
    "POST api/v1/incidents/<pk>/acknowledge/": Operation({}, names=True),
    "POST api/v1/incidents/<pk>/resolve/": Operation({"resolution_method": "manual"}, names=True),
    "POST api/v1/incidents/<pk>/reopen/": Operation(
        {"reason": "r"}, subject="resolved", names=True
    ),
    "POST api/v1/incidents/<pk>/assign/": Operation({"assignee": "ada"}, names=True),
    "POST api/v1/incidents/<pk>/severity/": Operation(
        {"severity": "critical", "reason": "r"}, names=True
    ),
    "GET api/v1/incidents/<pk>/events/": Operation(names=True),
    "POST api/v1/incidents/<pk>/events/": Operation({"description": "d"}, status=201, names=True),
    "GET api/v1/incidents/<pk>/alerts/": Operation(names=True),
    "GET api/v1/incidents/<pk>/evidence/": Operation(names=True),
    "POST api/v1/incidents/<pk>/evidence/": Operation(
        {"kind": "log", "data": {}}, status=201, names=True
    ),
    "GET api/v1/incidents/<pk>/recurrences/": Operation(subject="recurring", names=True),
    "POST api/v1/incidents/<pk>/postmortem/": Operation({}, status=201, names=True),
    "GET api/v1/incidents/<pk>/learnings/": Operation(subject="resolved", names=True),
    "GET api/v1/incidents/<pk>/similar/": Operation(names=True),
    # Runs and facts.
    "GET api/v1/runs/": Operation(query={"agent_id": "planner"}),
    "GET api/v1/runs/<run_id>/": Operation(names=True),
    "GET api/v1/runs/<run_id>/trace/": Operation(names=True),
    "GET api/v1/runs/<run_id>/failure/": Operation(names=True),
    "GET api/v1/runs/<run_id>/incidents/": Operation(names=True),
    "GET api/v1/runs/<run_id>/contamination/": Operation(names=True),
    "GET api/v1/violations/": Operation(query={"run_id": RUN}),
    "GET api/v1/violations/truth/": Operation(query={"run_id": RUN, "policy_id": POLICY}),
    "GET api/v1/violations/<pk>/": Operation(names=True),
    "GET api/v1/policy-evaluations/": Operation(),
    "GET api/v1/cost-records/": Operation(query={"run_id": RUN}),
    "GET api/v1/cost-anomalies/": Operation(),
    # Insights.
    **{
        f"GET api/v1/insights/{name}/": Operation()
        for name in (
            "stats",
            "accounting",
            "metrics",
            "patterns",
            "recurrence",
            "cost-impact",
            "trend",
            "cost-trend",
            "distribution",
        )
    },
    "GET api/v1/insights/recurrence/<category>/": Operation(),
    "GET api/v1/categories/<category>/learnings/": Operation(),
    # Rules.
    "GET api/v1/policy-rules/": Operation(query={"policy_type": POLICY}),
    "POST api/v1/policy-rules/": Operation(RULE, status=201),
    "GET api/v1/policy-rules/enabled/": Operation(
        query=lambda ids: {"policy_id": ids["rule"]}, names=True
    ),
    "POST api/v1/policy-rules/backtest/": Operation({"category": CATEGORY}),
    "GET api/v1/policy-rules/<pk>/": Operation(names=True),
    "PATCH api/v1/policy-rules/<pk>/": Operation({"name": "n"}, names=True),
    "GET api/v1/policy-rules/<pk>/revisions/": Operation(names=True),
    "GET api/v1/policy-rules/<pk>/effectiveness/": Operation(names=True),
    "GET api/v1/preventions/": Operation(query=lambda ids: {"rule_id": ids["rule"]}, names=True),
    # Webhooks.
    "GET api/v1/webhooks/": Operation(),
    "POST api/v1/webhooks/": Operation(WEBHOOK, status=201),
    "GET api/v1/webhooks/<pk>/": Operation(names=True),
    "PATCH api/v1/webhooks/<pk>/": Operation({"description": "d"}, names=True),
    "DELETE api/v1/webhooks/<pk>/": Operation(status=204, names=True),
    "POST api/v1/webhooks/<pk>/rotate-secret/": Operation(names=True),
    "GET api/v1/webhooks/<pk>/deliveries/": Operation(names=True),
    "GET api/v1/webhooks/<pk>/deliveries/<delivery>/": Operation(names=True),
    "POST api/v1/webhooks/<pk>/deliveries/<delivery>/redeliver/": Operation(names=True),
    # Lessons.
    "GET api/v1/lessons/": Operation(),
    "POST api/v1/lessons/": Operation(
        # An incident that was captured has its lesson: told again, that is the answer.
        lambda ids: {**LESSON, "incident_id": ids["incident"]},
        names=True,
    ),
    "GET api/v1/lessons/stats/": Operation(),
    "POST api/v1/lessons/near-threshold/": Operation(
        {"run_id": RUN, "metric": "seconds", "current_value": 9, "threshold_value": 10},
        status=201,
    ),
    "POST api/v1/lessons/critical-success/": Operation(
        {"run_id": RUN, "success_type": "s", "metrics": {}}, status=201
    ),
    "GET api/v1/lessons/<pk>/": Operation(names=True),
    "POST api/v1/lessons/<pk>/defer/": Operation({"until": "9999-01-01T00:00:00Z"}, names=True),
    "POST api/v1/lessons/<pk>/dismiss/": Operation({"reason": "r"}, names=True),
    "POST api/v1/lessons/<pk>/convert/": Operation({}, names=True),
    "POST api/v1/lessons/<pk>/reactivate/": Operation({}, subject="deferred", names=True),
    "GET api/v1/proposals/": Operation(),
    "GET api/v1/proposals/<pk>/": Operation(names=True),
    "POST api/v1/proposals/<pk>/approve/": Operation({}, names=True),
    "POST api/v1/proposals/<pk>/reject/": Operation({"reason": "r"}, names=True),
    "POST api/v1/proposals/<pk>/backtest/": Operation({}, names=True),
    # Exports.
    "GET api/v1/exports/": Operation(
        query=lambda ids: {"incident_id": ids["incident"]}, names=True
    ),
    "POST api/v1/exports/": Operation(
        lambda ids: {"incident_id": ids["incident"], "bundle_type": "executive_debrief"},
        status=201,
        names=True,
    ),
    "GET api/v1/exports/keys/": Operation(),
    "POST api/v1/exports/verify/": Operation({"bundle": {}, "seal": {}}),
    "GET api/v1/exports/<pk>/": Operation(names=True),
    "GET api/v1/exports/<pk>/download/": Operation(query={"as": "json"}, names=True),
    "GET api/v1/exports/<pk>/reviews/": Operation(names=True),
    "POST api/v1/exports/<pk>/reviews/": Operation({"state": "accepted"}, status=201, names=True),
}
