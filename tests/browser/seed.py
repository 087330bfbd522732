"""What the browser tests look at: two tenants, a flood, a run with a broken policy, old history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from config.tenancy.services import tenants
from incidents.enums import ResolutionMethod, ResolutionType, Severity
from incidents.models import Incident
from incidents.services import evidence, lifecycle, rollup, traces, violations
from incidents.services.traces import StepFacts
from lessons.services import capture
from tests.factories.people import incident

BY = Actor(via="platform")
PERSON = Actor(via="admin", name="grace")


@dataclass
class Seeded:
    acme: Tenant
    other: Tenant
    worst: Incident
    old: Incident
    violated: Incident


def plant() -> Seeded:
    """Reports all of it through the services."""
    acme, other = tenants.ensure(tenant_id="acme"), tenants.ensure(tenant_id="globex")
    now = clock.now()
    with clock.pretend(now - timedelta(days=2)):
        old = incident(
            acme,
            "checkout/EXECUTION_TIMEOUT",
            calls=12,
            prefix="old",
            error_code="EXECUTION_TIMEOUT",
            error_message="No answer within 60 s",
            category="execution_failure",
            agent_id="checkout-agent",
        )
    with clock.pretend(now - timedelta(days=2, minutes=-30)):
        lifecycle.resolve(
            incident=old,
            by=PERSON,
            method=ResolutionMethod.ROLLBACK,
            type=ResolutionType.REAL,
            summary="The release was rolled back.",
        )
    worst = incident(
        acme,
        "checkout/EXECUTION_TIMEOUT",
        calls=230,
        error_code="EXECUTION_TIMEOUT",
        error_message="No answer within 60 s",
        category="execution_failure",
        agent_id="checkout-agent",
        model="large-1",
        cost_delta_cents="1.25",
        metadata=b'{"region": "eu", "request": {"tokens": 1200, "tools": ["search"]}}',
    )
    evidence.attach(
        incident=worst,
        by=BY,
        kind="request",
        data={"prompt": {"role": "user", "text": "Pay the bill"}, "attempts": [1, 2]},
    )
    incident(other, "eu-gateway", trigger_type="rate_limit", calls=3, category="rate_limit")
    violated = _violation(acme)
    capture.capture()
    capture.draft()
    rollup.fold()
    return Seeded(acme, other, worst, old, violated)


def _violation(tenant: Tenant) -> Incident:
    now = clock.now()
    recorded = violations.record(
        tenant=tenant,
        by=BY,
        run_id="run-7",
        policy_id="spend-limit",
        rule_id="per-run",
        severity=Severity.HIGH,
        reason="Spent more than a run may.",
        evaluated_value="412",
        threshold_condition="<= 400",
        captured={"spent_cents": 412, "limit_cents": 400},
    )
    traces.store(
        tenant=tenant,
        run_id="run-7",
        trace_id="trace-7",
        steps=[
            StepFacts(
                step_index=place,
                timestamp=now + timedelta(seconds=place),
                step_type="tool_call" if place % 2 else "llm_call",
                agent_id="buyer",
                tokens=100 * place,
                cost_cents=Decimal("1.5"),
                duration_ms=340,
                status="ok",
                content=f"step {place} said something",
            )
            for place in range(6)
        ],
        violation_step_index=3,
    )
    assert recorded.incident is not None
    return Incident.objects.get(pk=recorded.incident.pk)
