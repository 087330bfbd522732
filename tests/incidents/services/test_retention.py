"""What retention deletes, what it keeps, and that the figures stay those of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, connections, transaction

from config import clock
from config.operations.models import AuditEvent
from config.tenancy.models import Tenant
from config.tenancy.services import retention as tenancy_retention
from exports.models import Bundle
from exports.services import retention as export_retention
from incidents.enums import Outcome, ResolutionMethod, RuleMode, WebhookEvent
from incidents.models import (
    Alert,
    CostAnomaly,
    EndedAlert,
    Event,
    Evidence,
    Failure,
    Incident,
    IncidentRun,
    Prevention,
    RetentionMark,
    Run,
    Step,
    Trace,
    Violation,
    WebhookDelivery,
)
from incidents.services import aggregation, lifecycle, retention, rollup, traces, webhooks
from incidents.services.reports import Report
from incidents.services.retention import alerts as alert_retention
from incidents.services.retention import closed
from incidents.services.traces import StepFacts
from lessons.models import Lesson, Proposal
from lessons.services import capture
from tests.exports.test_models import add_review
from tests.exports.test_models import bundle as make_bundle
from tests.factories import reading
from tests.factories.facts import BY, alert, fail, make_incident, make_rule, spend, violate
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with clock.pretend(NOW):
        yield


def keeping(**days: int | None) -> Tenant:
    tenant: Tenant = TenantFactory.create(**days)
    return tenant


def ago(days: float) -> Any:
    return clock.pretend(NOW - timedelta(days=days))


def resolve(incident: Incident) -> None:
    lifecycle.resolve(incident=incident, by=BY, method=ResolutionMethod.MANUAL)


def assert_sums() -> None:
    assert rollup.differences() == []
    rollup.fold()
    assert rollup.differences() == []


def test_retire_alerts_deletes_those_recorded_before_and_keeps_what_incidents_count() -> None:
    tenant, other = keeping(alert_days=30), keeping()
    for owner in (tenant, other):
        with ago(40):
            incident = make_incident(owner, call_id="old", cost_delta_cents=Decimal(3))
            alert(owner, call_id="old-2")
        with ago(39):
            resolve(incident)
        with ago(10):
            alert(owner, call_id="new")
    before = list(Incident.objects.for_tenant(tenant).values())
    assert retention.retire_alerts() == 2
    assert list(Alert.objects.for_tenant(tenant).values_list("call_id", flat=True)) == ["new"]
    assert Alert.objects.for_tenant(other).count() == 3
    assert list(Incident.objects.for_tenant(tenant).values()) == before
    assert {incident["calls_affected"] for incident in before} == {1, 2}
    (event,) = AuditEvent.objects.filter(action="retention")
    assert (event.tenant_id, event.target, event.data["alerts"]) == (tenant.pk, "alerts", 2)
    assert_sums()
    assert retention.retire_alerts() == 0


def test_retire_alerts_of_an_incident_that_is_still_open() -> None:
    tenant = keeping(alert_days=30)
    with ago(31):
        incident = make_incident(tenant, call_id="old", occurred_at=NOW - 2 * DAY)
    with ago(1):
        alert(tenant, call_id="new", occurred_at=NOW - 2 * DAY)
    assert retention.retire_alerts() == 1
    assert list(incident.alerts.values_list("call_id", flat=True)) == ["new"]
    incident.refresh_from_db()
    assert incident.calls_affected == 2


def test_retire_alerts_forgets_a_call_only_when_its_time_is_over() -> None:
    tenant = keeping(alert_days=30)
    with ago(31):
        alert(tenant, call_id="old")
    with ago(29):
        alert(tenant, call_id="kept")
    retention.retire_alerts()
    assert alert(tenant, call_id="kept").outcomes == [Outcome.DUPLICATE]
    assert alert(tenant, call_id="old").outcomes[0] != Outcome.DUPLICATE


@pytest.mark.parametrize("mode", RuleMode)
def test_retire_alerts_takes_what_rules_noted_of_them(mode: RuleMode) -> None:
    tenant = keeping(alert_days=30)
    make_rule(tenant, mode, trigger_type="rate_limit")
    with ago(31):
        alert(tenant, call_id="old")
    with ago(29):
        alert(tenant, call_id="kept")
    assert retention.retire_alerts() == 1
    assert list(Prevention.objects.for_tenant(tenant).values_list("call_id", flat=True)) == ["kept"]
    assert alert(tenant, call_id="kept").outcomes == [Outcome.DUPLICATE]
    # A report of the old call is a new one, that is noted anew.
    alert(tenant, call_id="old")
    assert Prevention.objects.for_tenant(tenant).count() == 2


def test_retire_alerts_forgets_what_was_said_of_their_end() -> None:
    tenant = keeping(alert_days=30)
    with ago(31):
        alert(tenant, call_id="old")
    key = Alert.objects.for_tenant(tenant).get().key
    for id_, days in ((key, 1), (clock.uuid7(), 31), (clock.uuid7(), 29)):
        EndedAlert.objects.create(tenant=tenant, key=id_, created_at=NOW - days * DAY)
    retention.retire_alerts()
    (left,) = EndedAlert.objects.for_tenant(tenant)
    assert left.created_at == NOW - 29 * DAY


def test_retire_alerts_goes_on_where_time_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = keeping(alert_days=30)
    for day in range(40, 34, -1):
        with ago(day):
            incident = make_incident(tenant, group_key=str(day), call_id=f"{day}-1")
            alert(tenant, group_key=str(day), call_id=f"{day}-2")
            resolve(incident)
    monkeypatch.setattr(alert_retention, "STEP", 1)
    monkeypatch.setattr(alert_retention, "INCIDENTS", 2)
    monkeypatch.setattr(tenancy_retention, "BUDGET_SECONDS", 0)
    rounds = [retention.retire_alerts() for _ in range(20)]
    assert sum(rounds) == 12
    assert max(rounds) < 4
    assert not Alert.objects.for_tenant(tenant).exists()
    assert RetentionMark.objects.get(tenant=tenant).done_to == NOW.replace(minute=0) - 30 * DAY
    logged = AuditEvent.objects.filter(action="retention").values_list("data__alerts", flat=True)
    assert sum(logged) == 12


def test_retire_alerts_follows_days_that_are_changed() -> None:
    tenant = keeping(alert_days=30)
    with ago(20):
        resolve(make_incident(tenant, call_id="a"))
    assert retention.retire_alerts() == 0
    Tenant.objects.filter(pk=tenant.pk).update(alert_days=10)
    assert retention.retire_alerts() == 1
    with ago(5):
        resolve(make_incident(tenant, call_id="b"))
    Tenant.objects.filter(pk=tenant.pk).update(alert_days=60)
    assert retention.retire_alerts() == 0
    Tenant.objects.filter(pk=tenant.pk).update(alert_days=1)
    assert retention.retire_alerts() == 1


def test_retire_incidents_takes_all_that_belongs_to_a_closed_one() -> None:
    tenant = keeping(alert_days=30, incident_days=60)
    webhooks.create(by=BY, tenant=tenant, url="https://example.com/", events=list(WebhookEvent))
    with ago(70):
        gone = fail(tenant, "run-a").incident
        violate(tenant, "run-a")
        spend(tenant)
        traces.store(tenant=tenant, run_id="run-a", trace_id="t", steps=[step()])
        capture.capture()
        capture.draft()
        for incident in Incident.objects.for_tenant(tenant):
            resolve(incident)
    with ago(50):
        kept = fail(tenant, "run-b").incident
        assert kept is not None
        resolve(kept)
    retention.retire_alerts()
    assert gone is not None
    lessons = Lesson.objects.for_tenant(tenant).count()
    assert retention.retire_incidents() == 3
    assert list(Incident.objects.for_tenant(tenant)) == [kept]
    for model in (Event, Evidence, Failure, IncidentRun, WebhookDelivery):
        found = model.objects.for_tenant(tenant)
        assert {row.incident_id for row in found} == {kept.pk}
    for model in (Violation, CostAnomaly, Trace, Step):
        assert not model.objects.for_tenant(tenant).exists()
    assert set(Run.objects.for_tenant(tenant).values_list("run_id", "incident_count")) == {
        ("run-a", 0),
        ("run-b", 1),
    }
    # Lessons and proposals outlive what they were learned from, and are not learned again.
    assert Lesson.objects.for_tenant(tenant).count() == lessons == 3
    assert Proposal.objects.for_tenant(tenant).exists()
    assert not Lesson.objects.filter(incident__isnull=False).exists()
    capture.capture()
    assert Lesson.objects.for_tenant(tenant).count() == lessons + 1
    (event,) = AuditEvent.objects.filter(action="retention", target="incidents")
    assert str(gone.pk) in event.data["incidents"]
    assert_sums()
    connection.check_constraints()


def step() -> StepFacts:
    return StepFacts(step_index=0, timestamp=NOW, step_type="call", content="said")


def test_retire_incidents_leaves_a_trace_to_the_next_incident_of_its_run() -> None:
    tenant = keeping(alert_days=30, incident_days=30)
    with ago(40):
        old = make_incident(tenant, group_key="a", run_id="run-1", call_id="1")
        traces.store(tenant=tenant, run_id="run-1", trace_id="t", steps=[step()])
        resolve(old)
    with ago(1):
        new = make_incident(tenant, group_key="b", run_id="run-1", call_id="2")
    assert Trace.objects.get().incident_id == old.pk
    retention.retire_alerts()
    assert retention.retire_incidents() == 1
    assert Trace.objects.get().incident_id == new.pk
    assert Step.objects.count() == 1
    assert Run.objects.get().incident_count == 1


def test_retire_incidents_keeps_open_ones_and_those_with_alerts() -> None:
    tenant = keeping(alert_days=30, incident_days=30)
    with ago(40):
        make_incident(tenant, group_key="open", call_id="1")
        resolve(make_incident(tenant, group_key="closed", call_id="2"))
    assert retention.retire_incidents() == 0
    retention.retire_alerts()
    assert retention.retire_incidents() == 1
    assert Incident.objects.get().group_key == "open"


def test_retire_incidents_that_fails_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = keeping(alert_days=30, incident_days=30)
    with ago(40):
        resolve(make_incident(tenant, call_id="1"))
    retention.retire_alerts()
    events = Event.objects.count()
    monkeypatch.setattr(closed, "_INCIDENTS", "DELETE FROM incidents_nothing WHERE %s = %s")
    with pytest.raises(Exception, match="incidents_nothing"), transaction.atomic():
        retention.retire_incidents()
    assert Event.objects.count() == events > 0
    assert not AuditEvent.objects.filter(target="incidents").exists()


def test_retire_bundles_takes_reviews_and_keeps_hashes_in_the_log() -> None:
    tenant = Tenant.objects.create(id="northwind", bundle_days=30)
    review = add_review(state="accepted", created_by="ada")
    old = make_bundle(created_at=NOW - 31 * DAY)
    assert export_retention.retire_bundles() == 1
    assert list(Bundle.objects.all()) == [review.bundle]
    Tenant.objects.filter(pk=tenant.pk).update(bundle_days=1)
    with clock.pretend(clock.now() + 3_650 * DAY):
        assert export_retention.retire_bundles() == 1
    logged = AuditEvent.objects.filter(target="bundles").order_by("created_at")
    assert logged[0].data["bundles"] == {str(old.pk): old.sha256}


@pytest.mark.parametrize(
    ("alert_days", "incident_days"), [(None, 30), (31, 30), (0, 30), (30, 3_651)]
)
def test_tenant_whose_incidents_would_not_outlive_alerts_is_refused(
    alert_days: int | None, incident_days: int
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        keeping(alert_days=alert_days, incident_days=incident_days)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (alert_retention._OLD_PREVENTIONS, "prevention_created"),
        (alert_retention._RESOLVED, "incident_resolved"),
        (alert_retention._UNRESOLVED, "incident_unresolved_created"),
        (closed._CLOSED, "incident_resolved"),
        (export_retention._OLD, "bundle_tenant_recent"),
    ],
)
def test_every_search_of_retention_goes_by_an_index(statement: str, index: str) -> None:
    values: dict[str, Any] = {
        alert_retention._UNRESOLVED: ["t", NOW, None, None, 100],
        alert_retention._RESOLVED: ["t", None, NOW, 100],
    }
    # Of nothing, any index is as good as another.
    for number in range(10):
        tenant = TenantFactory.create(id="t" if number == 0 else f"t-{number}")
        for _ in range(10):
            reading.incident(tenant)
            Prevention.objects.create(
                tenant=tenant,
                rule_id=uuid4(),
                revision=1,
                mode=RuleMode.ACTIVE,
                alert_key=uuid4(),
                occurred_at=NOW,
                created_at=NOW,
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE incidents_incident, incidents_prevention")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", values.get(statement, ["t", NOW, 100]))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert index in plan
    assert "Seq Scan" not in plan


def test_search_for_the_old_alerts_of_incidents_goes_by_their_index() -> None:
    tenant = keeping(alert_days=30, incidents_per_hour=10_000)
    incidents = [make_incident(tenant, group_key=str(number)) for number in range(5)]
    # Of a few any index would do.
    aggregation.absorb(
        tenant=tenant,
        alerts=[
            Report(trigger_type="failure_spike", group_key=str(number)) for number in range(2_000)
        ],
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE incidents_alert")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN {alert_retention._OLD_ALERTS}",
            [tenant.pk, [one.pk for one in incidents], NOW, 2_000],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "alert_incident" in plan


@pytest.mark.django_db(transaction=True)
def test_retire_alerts_leaves_a_tenant_to_the_process_that_is_at_it() -> None:
    tenant = keeping(alert_days=30)
    with ago(40):
        resolve(make_incident(tenant, call_id="1"))
    RetentionMark.objects.create(tenant=tenant)
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM incidents_retentionmark FOR UPDATE")
            assert retention.retire_alerts() == 0
            # What is being deleted keeps no report waiting.
            cursor.execute("ROLLBACK")
        assert retention.retire_alerts() == 1
    finally:
        other.close()
