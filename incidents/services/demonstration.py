"""Made-up data for the quickstart: a tenant with a past, and a flood to watch.

Everything goes through the services, at pretended times, so that nothing is in the demonstration
that the product would not have made itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, ResolutionType, RunStatus, Severity
from incidents.models import Incident, SeverityTarget
from incidents.services import aggregation, lifecycle, runs, traces, violations
from incidents.services.reports import AnyReport, Report
from incidents.services.traces import StepFacts

DAYS: Final = 90
FLOOD: Final = 1_000
_STEP: Final = 25

# Minutes within which incidents are to be acknowledged and resolved, by severity.
_TARGETS: Final = (
    (Severity.CRITICAL, 5, 60),
    (Severity.HIGH, 15, 120),
    (Severity.MEDIUM, 60, 1_440),
)
# What an agent did before it broke a policy: the type of each step, what it said, its tokens.
_OVERSPENT_AT: Final = 4
_STEPS_TAKEN: Final = (
    ("llm_call", "The customer asks for a refund of order 1042 and of all related orders.", 412),
    ("tool_call", "orders.search(customer=88, related=true): 31 orders", 0),
    ("llm_call", "All 31 are eligible. I will refund them one after the other.", 690),
    ("tool_call", "payments.refund(order=1042): $129.00", 0),
    ("tool_call", "payments.refund(order=1043): $412.00, over the limit of $400.00 a run", 0),
    ("llm_call", "The last refund was refused. I will tell the customer.", 233),
)

_PEOPLE: Final = ("Ada", "Grace", "Linus", "Margaret")


@dataclass(frozen=True, slots=True)
class _Story:
    trigger_type: str
    category: str
    error_code: str
    message: str
    agent_id: str
    model: str
    calls: tuple[int, int]
    cents_a_call: tuple[int, int]


_STORIES: Final = (
    _Story(
        "rate_limit",
        "rate_limit",
        "RATE_LIMIT_EXCEEDED",
        "429 from the provider: requests per minute",
        "support-agent",
        "gpt-4o",
        (3, 60),
        (0, 2),
    ),
    _Story(
        "failure_spike",
        "execution_failure",
        "EXECUTION_TIMEOUT",
        "No answer within 60 s",
        "research-agent",
        "claude-sonnet",
        (5, 120),
        (1, 8),
    ),
    _Story(
        "content_policy",
        "content_policy",
        "POLICY_REFUSAL",
        "The answer named a customer",
        "support-agent",
        "gpt-4o",
        (1, 6),
        (0, 1),
    ),
    _Story(
        "tool_error",
        "execution_failure",
        "STEP_FAILURE",
        "search: connection reset by peer",
        "browser-agent",
        "llama-3-70b",
        (2, 30),
        (0, 3),
    ),
    _Story(
        "budget_breach",
        "budget_exceeded",
        "BUDGET_EXCEEDED",
        "The day's budget is spent",
        "batch-agent",
        "gpt-4o",
        (1, 12),
        (50, 400),
    ),
)


def make_history(*, tenant: Tenant, until: datetime, seed: int = 7) -> int:
    """Gives a tenant without incidents ninety days of them; how many alerts that took.

    The same seed and time give the same history. A tenant with incidents is left as it is.
    """
    if Incident.objects.filter(tenant=tenant).exists():
        return 0
    chance = random.Random(seed)  # noqa: S311 - a story, not a secret
    alerts = 0
    for day in range(DAYS, 0, -1):
        for _ in range(chance.choice((1, 2, 2, 3, 4))):
            started = until - timedelta(days=day) + timedelta(seconds=chance.randrange(80_000))
            alerts += _tell(tenant, chance, started)
    _overspend(tenant, until - timedelta(hours=2))
    SeverityTarget.objects.bulk_create(
        SeverityTarget(
            tenant=tenant,
            severity=severity,
            acknowledge_seconds=soon * 60,
            resolve_seconds=late * 60,
        )
        for severity, soon, late in _TARGETS
    )
    return alerts + 1


def _tell(tenant: Tenant, chance: random.Random, started: datetime) -> int:
    story = chance.choice(_STORIES)
    calls = chance.randint(*story.calls)
    reports: list[AnyReport] = [
        Report(
            trigger_type=story.trigger_type,
            group_key=f"{story.agent_id}/{story.error_code}",
            call_id=f"demo-{started:%Y%m%d%H%M%S}-{number}",
            occurred_at=started + timedelta(seconds=number),
            cost_delta_cents=str(chance.randint(*story.cents_a_call)),
            run_id=f"demo-run-{started:%Y%m%d%H%M}-{number % 5}",
            agent_id=story.agent_id,
            model=story.model,
            error_code=story.error_code,
            error_message=story.message,
            category=story.category,
        )
        for number in range(calls)
    ]
    noticed = started + timedelta(seconds=calls)
    with clock.pretend(noticed):
        absorbed = aggregation.absorb(tenant=tenant, alerts=reports, via="demonstration")
    for incident in absorbed.incidents.values():
        by = Actor(via="demonstration", name=chance.choice(_PEOPLE))
        acknowledged = noticed + timedelta(minutes=chance.expovariate(1 / 9))
        with clock.pretend(acknowledged):
            lifecycle.acknowledge(incident=incident, by=by)
        with clock.pretend(acknowledged + timedelta(minutes=chance.expovariate(1 / 50))):
            lifecycle.resolve(
                incident=incident,
                by=by,
                method=chance.choice((ResolutionMethod.MANUAL, ResolutionMethod.ROLLBACK)),
                type=chance.choice((ResolutionType.REAL,) * 4 + (ResolutionType.FALSE_POSITIVE,)),
                summary=f"{story.message}. Handled by the runbook.",
            )
    return calls


def _overspend(tenant: Tenant, at: datetime) -> None:
    """A run that broke a policy at one of its steps, and a person who saw to it."""
    run_id = f"refund-{at:%Y%m%d%H%M}"
    with clock.pretend(at):
        runs.announce(
            tenant=tenant,
            run_id=run_id,
            agent_id="refund-agent",
            goal="Refund order 1042.",
            started_at=at - timedelta(seconds=3 * _OVERSPENT_AT),
        )
        recorded = violations.record(
            tenant=tenant,
            by=Actor(via="demonstration"),
            run_id=run_id,
            policy_id="refund-limit",
            rule_id="per-run",
            severity=Severity.HIGH,
            reason="The agent refunded more than a run may.",
            evaluated_value="$541.00",
            threshold_condition="<= $400.00",
            captured={"refunded": "$541.00", "limit": "$400.00", "orders": ["1042", "1043"]},
        )
        traces.store(
            tenant=tenant,
            run_id=run_id,
            trace_id=f"trace-{run_id}",
            steps=[
                StepFacts(
                    step_index=place,
                    timestamp=at - timedelta(seconds=3 * (_OVERSPENT_AT - place)),
                    step_type=step_type,
                    agent_id="refund-agent",
                    tokens=tokens,
                    cost_cents=Decimal(tokens) / 200,
                    duration_ms=180 + tokens * 3,
                    status="ok" if place != _OVERSPENT_AT else "refused",
                    content=said,
                )
                for place, (step_type, said, tokens) in enumerate(_STEPS_TAKEN)
            ],
            violation_step_index=_OVERSPENT_AT,
        )
        tokens = sum(tokens for *_, tokens in _STEPS_TAKEN)
        runs.complete(
            tenant=tenant,
            run_id=run_id,
            status=RunStatus.HALTED,
            termination_reason="Stopped by the policy refund-limit.",
            total_tokens=tokens,
            total_cost_cents=Decimal(tokens) / 200,
        )
    assert recorded.incident is not None  # noqa: S101 - no rule of a new tenant prevents it
    with clock.pretend(at + timedelta(minutes=7)):
        lifecycle.acknowledge(
            incident=recorded.incident, by=Actor(via="demonstration", name=_PEOPLE[0])
        )


@dataclass(frozen=True, slots=True)
class Wave:
    """The flood so far."""

    calls_sent: int
    incidents: int
    calls_affected: int
    severity: Severity
    incident_id: str


def flood(*, tenant: Tenant) -> Iterator[Wave]:
    """Reports a thousand failing calls of one kind, a few at a time; what became of them."""
    start = clock.now()
    incidents: set[str] = set()
    for sent in range(0, FLOOD, _STEP):
        reports: list[AnyReport] = [
            Report(
                trigger_type="failure_spike",
                group_key="checkout-agent/EXECUTION_TIMEOUT",
                call_id=f"flood-{start:%Y%m%d%H%M%S%f}-{number}",
                occurred_at=clock.now(),
                cost_delta_cents="1.25",
                agent_id="checkout-agent",
                model="gpt-4o",
                error_code="EXECUTION_TIMEOUT",
                error_message="No answer within 60 s",
                category="execution_failure",
            )
            for number in range(sent, sent + _STEP)
        ]
        absorbed = aggregation.absorb(tenant=tenant, alerts=reports, via="quickstart")
        incidents |= {str(id_) for id_ in absorbed.incidents}
        last = list(absorbed.incidents.values())[-1]
        yield Wave(
            calls_sent=sent + _STEP,
            incidents=len(incidents),
            calls_affected=last.calls_affected,
            severity=Severity(last.severity),
            incident_id=str(last.pk),
        )
