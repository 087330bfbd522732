"""What the other processes do; see ``processes.run_all``."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

from django.test import Client

from config.actors import Actor
from config.errors import InvalidTransition
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod
from incidents.models import Incident
from incidents.services import aggregation, lifecycle
from incidents.services.reports import AnyReport, Report
from tests.factories.tenancy import bearer


def flood(
    *, tenant_id: str, seed: int, start: str, calls: int, kinds: int, seconds: int
) -> dict[str, int]:
    """Sends the same calls as everybody and some of its own, in its own order, with repeats.

    When a call failed is a function of the call, so that every sender says the same.
    """
    chance = random.Random(seed)
    names = [f"shared-{n}" for n in range(calls)] + [f"own-{seed}-{n}" for n in range(calls // 4)]
    names += chance.choices(names, k=calls // 4)
    chance.shuffle(names)
    tenant = Tenant.objects.get(pk=tenant_id)
    begin = datetime.fromisoformat(start)
    counts: dict[str, int] = {}
    while names:
        size = chance.choice((1, 1, 7, 40))
        batch, names = names[:size], names[size:]
        reports: list[AnyReport] = []
        for name in batch:
            of_call = random.Random(name)
            reports.append(
                Report(
                    trigger_type="failure_spike",
                    group_key=f"kind-{of_call.randrange(kinds)}",
                    call_id=name,
                    run_id=f"run-{of_call.randrange(5)}",
                    occurred_at=begin + timedelta(seconds=of_call.uniform(0, seconds)),
                    cost_delta_cents="0.25",
                )
            )
        absorbed = aggregation.absorb(tenant=tenant, alerts=reports)
        assert absorbed.received == len(batch)
        for outcome, count in absorbed.counts.items():
            counts[outcome.label] = counts.get(outcome.label, 0) + count
    return counts


def triage(*, tenant_id: str, action: str, name: str) -> list[str]:
    """Tries one act on every incident of the tenant; what came of each."""
    answers = []
    by = Actor(via="test", name=name)
    for incident in Incident.objects.filter(tenant_id=tenant_id).order_by("pk"):
        try:
            if action == "acknowledge":
                lifecycle.acknowledge(incident=incident, by=by)
            else:
                lifecycle.resolve(incident=incident, by=by, method=ResolutionMethod.MANUAL)
            answers.append("done")
        except InvalidTransition:
            answers.append("conflict")
    return answers


def triage_over_http(
    *, key: str, action: str, name: str, ids: list[str]
) -> list[tuple[int, str | None]]:
    """Tries one act on each of these incidents; the status and the code of each answer."""
    client = Client(headers=bearer(key))
    body = {"actor": name} | ({"resolution_method": "manual"} if action == "resolve" else {})
    answers = []
    for id_ in ids:
        answer = client.post(
            f"/api/v1/incidents/{id_}/{action}/", json.dumps(body), content_type="application/json"
        )
        answers.append((answer.status_code, answer.json().get("code")))
    return answers


def resolve_stale(**_: Any) -> int:
    """One round of housekeeping's search for what went quiet."""
    return aggregation.resolve_stale()
