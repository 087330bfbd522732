"""Failures, violations, costs and evaluations: once each, and exactly matched."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from hashlib import sha256

import psycopg
import pytest
from django.db import connection

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import CauseType, Outcome, Severity, SourceType
from incidents.models import (
    Alert,
    CostAnomaly,
    CostRecord,
    Evidence,
    Failure,
    Incident,
    PolicyEvaluation,
    Run,
    Violation,
)
from incidents.services import costs, evaluations, failures, runs, violations
from tests.factories.facts import alert, fail, make_rule, spend, violate
from tests.factories.tenancy import TenantFactory
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db

# Prefixes of each other, and what LIKE and JSON treat specially, as far as ids may hold it.
AWKWARD = ["run", "run-1", "run-10", "run-1.", "run_1", "run=1", "r:n@1+", "-", "run-1-"]


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def test_record_failure_captures_evidence_marks_the_run_and_reports(tenant: Tenant) -> None:
    runs.announce(tenant=tenant, run_id="run-1", agent_id="planner", is_synthetic=True)
    recorded = fail(
        tenant, request_id="req", error_message="step 3 broke", duration_ms=12, metadata={"a": 1}
    )
    assert (recorded.outcome, recorded.created) == (Outcome.OPENED, True)
    incident = Incident.objects.get()
    assert recorded.incident == incident
    assert (incident.trigger_type, incident.group_key) == ("llm_failure", "STEP_FAILURE")
    assert (incident.severity, incident.category) == (Severity.HIGH, "execution_failure")
    assert (incident.source_type, incident.agent_id) == (SourceType.FAILURE, "planner")
    assert incident.is_synthetic
    run = Run.objects.get()
    assert (run.status, run.incident_count) == ("failed", 1)
    evidence = Evidence.objects.get(failure=recorded.failure)
    assert evidence.incident_id == incident.pk
    assert evidence.data["error_message"] == "step 3 broke"
    assert evidence.data["metadata"] == {"a": 1}
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM incidents_evidence")
        (text,) = cursor.fetchone()
    assert sha256(text.encode()).hexdigest() == evidence.sha256


def test_record_failure_again_changes_nothing_and_counts_a_duplicate(tenant: Tenant) -> None:
    first = fail(tenant, error_message="first")
    again = fail(tenant, error_message="second", error_code="AGENT_CRASH")
    assert (again.outcome, again.created) == (Outcome.DUPLICATE, False)
    assert again.failure == first.failure
    assert again.incident == first.incident
    assert Failure.objects.get().error_message == "first"
    assert Evidence.objects.count() == 1
    assert Incident.objects.get().alerts_count == 1
    assert_consistent(tenant.pk, received=2)


def test_record_failure_keeps_its_outcome_when_the_incident_was_resolved(tenant: Tenant) -> None:
    first = fail(tenant)
    Incident.objects.update(status="resolved", resolved_at=clock.now(), resolution_method="manual")
    again = fail(tenant)
    assert again.incident == first.incident
    assert again.incident is not None
    assert again.incident.status == "resolved"


@pytest.mark.parametrize("taken", ["run run-1", "run-1", "run-1/", "run-1/req"])
def test_a_failure_is_no_repeat_of_an_alert_that_a_caller_names_like_it(
    tenant: Tenant, taken: str
) -> None:
    if " " not in taken:
        alert(tenant, trigger_type="llm_failure", group_key="STEP_FAILURE", call_id=taken)
    assert fail(tenant).outcome in (Outcome.OPENED, Outcome.AGGREGATED)
    assert fail(tenant, request_id="req").outcome == Outcome.AGGREGATED
    assert Failure.objects.count() == 2


def test_failures_of_awkward_runs_and_requests_are_each_their_own(tenant: Tenant) -> None:
    pairs = [(run, request) for run in AWKWARD for request in (None, "1", "run-1", "1/run")]
    for run, request in pairs:
        assert fail(tenant, run, request_id=request).created
    for run, request in pairs:
        assert not fail(tenant, run, request_id=request).created
    incident = Incident.objects.get()
    assert incident.calls_affected == incident.alerts_count == len(pairs)
    assert Run.objects.count() == len(AWKWARD)
    assert_consistent(tenant.pk, received=2 * len(pairs))


def test_a_thousand_failed_runs_are_one_incident(tenant: Tenant) -> None:
    for number in range(50):
        fail(tenant, f"run-{number}")
    incident = Incident.objects.get()
    assert (incident.calls_affected, incident.severity) == (50, Severity.HIGH)


def test_contamination_counts_exactly_this_run(tenant: Tenant) -> None:
    fail(tenant, "run-1")
    for run in AWKWARD:
        if run != "run-1":
            costs.record(tenant=tenant, request_id=run, run_id=run, cost_cents=Decimal(1))
            spend(tenant, run, run_id=run, severity=Severity.LOW)
            alert(tenant, run_id=run)
    nothing = failures.Contamination(cost_records=0, cost_anomalies=0, other_incidents=0)
    assert failures.contamination(tenant=tenant, run_id="run-1") == nothing
    costs.record(tenant=tenant, request_id="mine", run_id="run-1", cost_cents=Decimal(1))
    spend(tenant, "mine", run_id="run-1", severity=Severity.HIGH)
    assert failures.contamination(tenant=tenant, run_id="run-1") == failures.Contamination(
        cost_records=1, cost_anomalies=1, other_incidents=1
    )


def test_record_violation_is_grouped_by_policy(tenant: Tenant) -> None:
    first = violate(tenant, "run-1", severity=Severity.CRITICAL, reason="said a name")
    assert (first.outcome, first.created) == (Outcome.OPENED, True)
    second = violate(tenant, "run-10")
    assert second.outcome == Outcome.AGGREGATED
    other = violate(tenant, "run-1", policy_id="pi")
    assert other.outcome == Outcome.OPENED
    incident = Incident.objects.get(group_key="pii")
    assert (incident.trigger_type, incident.severity) == ("policy_violation", Severity.CRITICAL)
    assert incident.calls_affected == 2
    assert first.evidence is not None
    assert first.evidence.data["reason"] == "said a name"
    again = violate(tenant, "run-1", reason="other")
    assert (again.outcome, again.created) == (Outcome.DUPLICATE, False)
    assert again.evidence == first.evidence
    assert Violation.objects.count() == 3
    assert_consistent(tenant.pk, received=4)


def test_violations_cannot_run_into_each_other(tenant: Tenant) -> None:
    parts = ["a", "a/b", "b", "b/c", "a/b/c"]
    for policy in parts:
        for rule in parts:
            assert violate(tenant, "a", policy_id=policy, rule_id=rule).created
    assert Alert.objects.filter(trigger_type="policy_violation").count() == len(parts) ** 2


def test_truth_tells_what_is_on_record(tenant: Tenant) -> None:
    def truth(run_id: str = "run-1", policy_id: str = "pii") -> violations.Truth:
        return violations.truth(tenant=tenant, run_id=run_id, policy_id=policy_id)

    assert truth() == violations.Truth(
        violation_recorded=False, incident_exists=False, evidence_exists=False, no_duplicates=True
    )
    violate(tenant)
    violate(tenant, rule_id="other")
    assert truth().passed
    for run_id, policy_id in (("run", "pii"), ("run-10", "pii"), ("run-1", "pi"), ("run_1", "pii")):
        assert not truth(run_id, policy_id).violation_recorded
    make_rule(tenant, category="policy_violation")
    violate(tenant, "run-2")
    prevented = truth("run-2")
    assert (prevented.violation_recorded, prevented.evidence_exists) == (True, True)
    assert not prevented.incident_exists
    assert not prevented.passed


def test_record_anomaly_reports_high_and_critical_only(tenant: Tenant) -> None:
    low = spend(tenant, "a", severity=Severity.MEDIUM, run_id="run-1")
    assert (low.outcome, low.incident, low.created) == (None, None, True)
    assert not Incident.objects.exists()
    assert Run.objects.filter(run_id="run-1").exists()
    assert spend(tenant, "a", severity=Severity.CRITICAL).outcome is None
    assert not Incident.objects.exists()
    high = spend(tenant, "b", kind="BUDGET_EXCEEDED", title="Budget gone")
    assert high.outcome == Outcome.OPENED
    incident = Incident.objects.get()
    assert (incident.cause_type, incident.source_type) == (
        CauseType.SYSTEM,
        SourceType.COST_ANOMALY,
    )
    assert (incident.trigger_type, incident.category) == ("budget_breach", "cost_anomaly")
    assert (incident.title, incident.cost_delta_cents) == ("Budget gone", Decimal("12.5"))
    assert spend(tenant, "b").outcome == Outcome.DUPLICATE
    assert CostAnomaly.objects.count() == 2
    assert_consistent(tenant.pk, received=2)


@pytest.mark.parametrize(
    ("kind", "trigger"),
    [
        ("BUDGET_EXCEEDED", "budget_breach"),
        ("ABSOLUTE_SPIKE", "cost_spike"),
        ("SUSTAINED_DRIFT", "cost_drift"),
        ("BUDGET_WARNING", "budget_warning"),
        ("SOMETHING_ELSE", "cost_anomaly"),
    ],
)
def test_record_anomaly_has_the_trigger_of_its_kind(
    tenant: Tenant, kind: str, trigger: str
) -> None:
    recorded = spend(tenant, kind=kind)
    assert recorded.incident is not None
    assert recorded.incident.trigger_type == trigger


def test_record_cost_once(tenant: Tenant) -> None:
    first = costs.record(tenant=tenant, request_id="r", run_id="run-1", cost_cents=Decimal("1.5"))
    again = costs.record(tenant=tenant, request_id="r", run_id="other", cost_cents=Decimal(9))
    assert (first.created, again.created) == (True, False)
    assert again.record == first.record
    assert CostRecord.objects.get().cost_cents == Decimal("1.5")
    assert list(Run.objects.values_list("run_id", flat=True)) == ["run-1"]


def test_record_evaluation_once(tenant: Tenant) -> None:
    def record(confidence: float) -> evaluations.Recorded:
        return evaluations.record(
            tenant=tenant, run_id="r", outcome="ok", policies_checked=3, confidence=confidence
        )

    assert record(0.5).created
    assert not record(0.7).created
    assert PolicyEvaluation.objects.get().confidence == 0.5
    assert Run.objects.filter(run_id="r").exists()


@pytest.mark.django_db(transaction=True)
def test_record_evaluation_by_a_plain_cursor_is_part_of_the_callers_transaction(
    tenant: Tenant,
) -> None:
    values = {"outcome": "ok", "policies_checked": 1, "confidence": 1.0, "tenant_id": tenant.pk}
    options = connection.get_connection_params()
    for unwanted in ("cursor_factory", "context", "prepare_threshold"):
        options.pop(unwanted, None)
    with psycopg.connect(**options) as plain:
        with plain.cursor() as cursor:
            id_, created = evaluations.record_with_cursor(cursor=cursor, run_id="kept", **values)
        assert created
        assert not PolicyEvaluation.objects.exists()
        plain.commit()
        with plain.cursor() as cursor:
            evaluations.record_with_cursor(cursor=cursor, run_id="undone", **values)
            again = evaluations.record_with_cursor(cursor=cursor, run_id="kept", **values)
        assert again == (id_, False)
        plain.rollback()
    assert [row.pk for row in PolicyEvaluation.objects.all()] == [id_]
    assert list(Run.objects.values_list("run_id", flat=True)) == ["kept"]


def test_a_report_without_a_time_happened_now(tenant: Tenant) -> None:
    before = clock.now()
    failure = fail(tenant).failure
    assert before <= failure.occurred_at <= before + timedelta(seconds=30)
    assert failure.occurred_at == Alert.objects.get().occurred_at


def test_a_failure_whose_call_is_counted_already_is_recorded_all_the_same(tenant: Tenant) -> None:
    counted = alert(tenant, trigger_type="llm_failure", call_id="run run-1")
    recorded = fail(tenant)
    assert (recorded.outcome, recorded.created) == (Outcome.DUPLICATE, True)
    assert recorded.failure.outcome == Outcome.AGGREGATED
    assert [recorded.failure.incident_id] == counted.incident_ids
    assert Incident.objects.get().alerts_count == 1
    assert not fail(tenant).created


@pytest.mark.parametrize(
    "data", [{}, {"z": 1, "a": {"\u00e9": [1.5, -0.25, 1e300, 5e-324]}}, {'"%_\\': None, "": True}]
)
def test_evidence_reads_back_as_it_was_and_its_hash_is_of_what_is_stored(
    tenant: Tenant, data: dict[str, object]
) -> None:
    fail(tenant, captured=data)
    evidence = Evidence.objects.get()
    assert evidence.data == data
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(sha256(convert_to(data::text, 'UTF8')), 'hex') FROM incidents_evidence"
        )
        assert cursor.fetchone() == (evidence.sha256,)
