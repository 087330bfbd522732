"""Concurrent repeats of each report are one fact and one count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from config.tenancy.models import Tenant
from incidents.enums import Outcome, WebhookEvent
from incidents.models import (
    CostAnomaly,
    CostRecord,
    Evidence,
    Failure,
    Incident,
    OutcomeTally,
    PolicyEvaluation,
    PolicyRule,
    Prevention,
    Run,
    Step,
    Trace,
    Violation,
    WebhookEndpoint,
)
from incidents.services import rules
from incidents.services.webhooks import endpoints
from tests.concurrency import fact_workers
from tests.concurrency.processes import run_all
from tests.factories.facts import BY, make_rule
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 6
EACH = 8


def everybody(function: Callable[..., Any], **given: object) -> list[Any]:
    return run_all(
        function,
        [{"seed": seed, "each": EACH, **given} for seed in range(WORKERS)],
    )


def test_the_same_facts_from_everybody_are_recorded_and_counted_once() -> None:
    tenant = Tenant.objects.create(id="facts")
    answers = everybody(fact_workers.report_facts, tenant_id=tenant.pk)
    totals: Counter[str] = Counter()
    for answer in answers:
        totals.update(answer)
    for model in (Failure, Violation, CostAnomaly, CostRecord, PolicyEvaluation):
        assert model.objects.count() == EACH, model
    for kind in ("failure", "violation", "anomaly", "cost", "evaluation", "run", "trace"):
        assert totals[f"{kind} created"] == EACH, kind
    assert Evidence.objects.count() == 2 * EACH
    assert Incident.objects.count() == 3
    assert {i.calls_affected for i in Incident.objects.all()} == {EACH}
    assert Trace.objects.count() == EACH
    assert Step.objects.count() == 2 * EACH
    assert {(run.status, run.incident_count) for run in Run.objects.all()} == {("failed", 3)}
    assert all(trace.incident_id for trace in Trace.objects.all())
    assert_consistent(tenant.pk, received=3 * EACH * WORKERS)


def test_a_rule_binds_every_report_after_its_change_was_answered_in_every_process() -> None:
    tenant = Tenant.objects.create(id="rules", incidents_per_hour=100_000)
    answers = everybody(fact_workers.change_and_report, tenant_id=tenant.pk)
    assert answers == [[]] * WORKERS
    assert PolicyRule.objects.count() == WORKERS
    prevented = sum(row.prevented for row in OutcomeTally.objects.all())
    assert prevented == Prevention.objects.count() == WORKERS * EACH
    assert_consistent(tenant.pk)


def test_concurrent_changes_of_one_rule_are_each_a_revision() -> None:
    tenant = Tenant.objects.create(id="revisions")
    rule = make_rule(tenant, error_code="E")
    everybody(fact_workers.rename, tenant_id=tenant.pk)
    rule.refresh_from_db()
    assert rule.revision == 1 + WORKERS * EACH
    numbers = sorted(rule.revisions.values_list("number", flat=True))
    assert numbers == list(range(1, rule.revision + 1))
    latest = rules.update(rule=rule, by=BY, changes={"name": "last"})
    assert latest.revision == rule.revision + 1


def test_a_rule_that_another_connection_has_not_committed_does_not_bind() -> None:
    tenant = Tenant.objects.create(id="uncommitted")
    assert (
        everybody(fact_workers.report_beside_an_open_change, tenant_id=tenant.pk)
        == [[Outcome.PREVENTED.label]] * WORKERS
    )


def test_the_last_webhook_of_a_tenant_is_made_once() -> None:
    tenant = Tenant.objects.create(id="hooks")
    for number in range(endpoints.MAX_ENDPOINTS - 1):
        endpoints.create(
            by=BY, tenant=tenant, url=f"https://example.com/n{number}", events=[WebhookEvent.OPENED]
        )
    answers = everybody(fact_workers.create_webhook, tenant_id=tenant.pk)
    assert sorted(map(len, answers)) == [0, *[1] * (WORKERS - 1)]
    assert WebhookEndpoint.objects.count() == endpoints.MAX_ENDPOINTS
