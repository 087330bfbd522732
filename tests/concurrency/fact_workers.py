"""What the other processes do with facts and rules; see ``processes.run_all``."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from django.db import transaction

from config.actors import Actor
from config.errors import Invalid
from config.tenancy.models import Tenant
from incidents.enums import FailureType, Outcome, RuleMode, Severity, WebhookEvent
from incidents.models import PolicyRule
from incidents.services import (
    aggregation,
    costs,
    evaluations,
    failures,
    rules,
    runs,
    traces,
    violations,
)
from incidents.services.reports import Report
from incidents.services.webhooks import endpoints


def report_facts(*, tenant_id: str, seed: int, each: int) -> dict[str, int]:
    """Sends the same facts as everybody, in its own order; how many it was told are new."""
    tenant = Tenant.objects.get(pk=tenant_id)
    by = Actor(via=f"worker {seed}")
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def store(run_id: str) -> bool:
        steps = [
            traces.StepFacts(step_index=n, timestamp=at, step_type="user", content=f"{n}")
            for n in range(2)
        ]
        return traces.store(tenant=tenant, run_id=run_id, trace_id="t", steps=steps).created

    reports: dict[str, Callable[[str], bool]] = {
        "failure": lambda name: (
            failures.record(
                tenant=tenant,
                by=by,
                run_id=name,
                failure_type=FailureType.TIMEOUT,
                error_code="EXECUTION_TIMEOUT",
                occurred_at=at,
            ).created
        ),
        "violation": lambda name: (
            violations.record(
                tenant=tenant, by=by, run_id=name, policy_id="p", rule_id="r", occurred_at=at
            ).created
        ),
        "anomaly": lambda name: (
            costs.record_anomaly(
                tenant=tenant,
                by=by,
                anomaly_id=name,
                kind="ABSOLUTE_SPIKE",
                severity=Severity.HIGH,
                cost_delta_cents=Decimal(1),
                run_id=name,
                detected_at=at,
            ).created
        ),
        "cost": lambda name: (
            costs.record(tenant=tenant, request_id=name, run_id=name, cost_cents=Decimal(1)).created
        ),
        "evaluation": lambda name: (
            evaluations.record(
                tenant=tenant, run_id=name, outcome="ok", policies_checked=1, confidence=1
            ).created
        ),
        "trace": store,
    }
    wanted = [(kind, f"run-{n}") for kind in reports for n in range(each)]
    counts: Counter[str] = Counter()
    # Before anything else names them: what creates a run is the announcement.
    for n in range(each):
        counts["run created"] += runs.announce(tenant=tenant, run_id=f"run-{n}").created
    random.Random(seed).shuffle(wanted)
    for kind, name in wanted:
        counts[f"{kind} created"] += reports[kind](name)
    return dict(counts)


def change_and_report(*, tenant_id: str, seed: int, each: int) -> list[str]:
    """Switches a rule of its own on and off, and reports after each; what went wrong."""
    tenant = Tenant.objects.get(pk=tenant_id)
    by = Actor(via=f"worker {seed}")
    rule = rules.create(
        tenant=tenant, by=by, name="mine", mode=RuleMode.ACTIVE, error_code=f"{seed}"
    )
    wrong = []
    for turn in range(2 * each):
        active = turn % 2 == 0
        if turn:
            rules.update(rule=rule, by=by, changes={"is_active": active})
        report = Report(trigger_type="x", call_id=f"{seed}-{turn}", error_code=f"{seed}")
        outcome = aggregation.absorb(tenant=tenant, alerts=[report]).outcomes[0]
        if (outcome == Outcome.PREVENTED) != active:
            wrong.append(f"{turn}: {Outcome(outcome).label}")
    return wrong


def rename(*, tenant_id: str, seed: int, each: int) -> None:
    """Gives the tenant's one rule new names."""
    rule = PolicyRule.objects.get(tenant_id=tenant_id)
    for number in range(each):
        rules.update(rule=rule, by=Actor(via="test"), changes={"name": f"{seed}-{number}"})


def report_beside_an_open_change(*, tenant_id: str, seed: int, each: int) -> list[str]:
    """Reports inside the transaction that makes a rule; then undoes both."""
    tenant = Tenant.objects.get(pk=tenant_id)
    report = Report(trigger_type="x", error_code=f"{seed}")
    with transaction.atomic():
        rules.create(
            tenant=tenant,
            by=Actor(via="test"),
            name="mine",
            mode=RuleMode.ACTIVE,
            error_code=f"{seed}",
        )
        inside = aggregation.absorb(tenant=tenant, alerts=[report]).outcomes[0]
        transaction.set_rollback(True)
    outside = aggregation.absorb(tenant=tenant, alerts=[report]).outcomes[0]
    assert outside != Outcome.PREVENTED
    return [Outcome(inside).label]


def create_webhook(*, tenant_id: str, seed: int, each: int) -> list[str]:
    """Makes one endpoint of the tenant, if there is a place; what it was told."""
    try:
        endpoints.create(
            by=Actor(via=f"worker {seed}"),
            tenant=Tenant.objects.get(pk=tenant_id),
            url=f"https://example.com/{seed}",
            events=[WebhookEvent.OPENED],
        )
    except Invalid as error:
        return [one.detail for one in error.errors]
    return []
