"""Made-up data for the quickstart: a tenant with a past, and a flood to watch.

Everything goes through the services, at pretended times, so that nothing is in the demonstration
that the product would not have made itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, ResolutionType, Severity
from incidents.models import Incident
from incidents.services import aggregation, lifecycle
from incidents.services.reports import AnyReport, Report

DAYS: Final = 90
FLOOD: Final = 1_000
_STEP: Final = 25

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
    return alerts


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
