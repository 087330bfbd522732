from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection, transaction

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from exports.enums import BundleType
from exports.errors import BundleTooLarge
from exports.services import assembly, canonical, documents, exporting
from exports.services.assembly import traffic
from incidents.enums import EventType, Severity
from incidents.errors import IncidentNotFound
from incidents.models import Incident, Prevention, Step
from incidents.services import aggregation, lifecycle
from incidents.services.reports import Report
from tests.factories import bundles
from tests.factories import exporting as scenarios
from tests.factories.exporting import ADA, CONTENTS, NOW, RUN
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = TenantFactory.create()
    return tenant


def gathered(incident: Incident, **options: Any) -> dict[str, Any]:
    return assembly.gather(incident, **{"raw_steps": False} | options).sections


def export(incident: Incident, kind: str = "evidence", **options: Any) -> dict[str, Any]:
    exported = exporting.export(incident=incident, bundle_type=BundleType(kind), by=ADA, **options)
    document: dict[str, Any] = json.loads(bytes(exported.bundle.document))
    return document


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("evidence", documents.Bundle),
        ("soc2", documents.Soc2Bundle),
        ("executive_debrief", documents.ExecutiveBundle),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_export_has_the_documented_shape(tenant: Tenant, kind: str, shape: Any, raw: bool) -> None:
    made = export(scenarios.everything(tenant), kind, include_raw_steps=raw)
    # Every key and every type is as documented, and there is nothing besides.
    assert msgspec.convert(made, shape, strict=True) == made
    bare = lifecycle.open_by_hand(tenant=tenant, by=ADA, title="Odd", severity=Severity.LOW)
    made = export(bare, kind, include_raw_steps=raw)
    assert msgspec.convert(made, shape, strict=True) == made


def test_gather_tells_the_times_and_who_brought_them_about(tenant: Tenant) -> None:
    found = gathered(scenarios.everything(tenant))["milestones"]
    assert found["detected"]["actor"] is None
    assert found["acknowledged"] == {
        "at": "2026-11-16T18:20:04.250000Z",
        "actor": "ada",
        "via": "triage key",
        "source": "the timeline",
    }
    assert found["contained"]["at"] == "2026-11-16T18:18:44.250000Z"
    assert found["contained"]["via"] is None
    assert found["contained"]["source"] == "the last alert before it was resolved"
    assert found["resolved"]["at"] == "2026-11-16T19:45:04.250000Z"
    assert found["resolved"]["actor"] == "ada"


def test_gather_takes_what_was_undone_for_undone(tenant: Tenant) -> None:
    incident = scenarios.resolved(scenarios.opened(tenant))
    lifecycle.reopen(incident=incident, by=ADA, reason="It is back.")
    found = gathered(incident)
    assert [found["milestones"][name] for name in ("acknowledged", "contained", "resolved")] == [
        None,
        None,
        None,
    ]
    assert EventType.RESOLVED in [entry["event_type"] for entry in found["timeline"]]
    assert {"acknowledgement", "resolution"} <= {gap["subject"] for gap in found["gaps"]}


def test_gather_names_the_latest_of_two_acknowledgements(tenant: Tenant) -> None:
    incident = scenarios.resolved(scenarios.opened(tenant))
    lifecycle.reopen(incident=incident, by=ADA, reason="It is back.")
    lifecycle.acknowledge(incident=incident, by=Actor(via="key", name="grace"))
    assert gathered(incident)["milestones"]["acknowledged"]["actor"] == "grace"


def test_gather_says_that_a_resolution_contained_what_no_alert_tells_of(tenant: Tenant) -> None:
    incident = lifecycle.open_by_hand(tenant=tenant, by=ADA, title="Odd", severity=Severity.LOW)
    lifecycle.resolve(incident=incident, by=ADA, method="manual")  # type: ignore[arg-type]
    found = gathered(incident)
    assert found["milestones"]["detected"]["actor"] == "ada"
    assert found["milestones"]["contained"]["at"] == found["milestones"]["resolved"]["at"]
    assert found["series"]["points"] == []
    assert found["selection"]["first_alert_at"] is None
    subjects = {gap["subject"] for gap in found["gaps"]}
    assert {"alerts", "runs", "cause", "evidence", "acknowledgement", "resolution"} <= subjects


def test_gather_counts_what_the_rule_selects(tenant: Tenant) -> None:
    scenarios.opened(TenantFactory.create())
    found = gathered(scenarios.everything(tenant))
    chosen = found["selection"]
    assert (chosen["alerts_covered"], chosen["calls_covered"], chosen["runs_covered"]) == (
        12,
        12,
        2,
    )
    assert (chosen["first_alert_at"], chosen["last_alert_at"]) == (
        "2026-11-16T18:15:04.250000Z",
        "2026-11-16T18:18:44.250000Z",
    )
    assert found["totals"] == {
        "alerts": 12,
        "calls": 12,
        "runs": 2,
        "agents": 3,
        "steps": 3,
        "failures": 1,
        "violations": 1,
        "evidence": 1,
        "events": len(found["timeline"]),
        "tokens": 8_214,
    }
    assert found["cost"] == {
        "incident_cents": "21.0000",
        "runs_cents": "14.2210",
        "anomalies_cents": None,
    }


def test_gather_draws_every_alert_into_one_bucket(tenant: Tenant) -> None:
    series = gathered(scenarios.opened(tenant))["series"]
    assert series["bucket_seconds"] == 5
    assert sum(point["alerts"] for point in series["points"]) == 12
    assert sum(point["calls"] for point in series["points"]) == 12
    assert series["points"][0] == {
        "at": "2026-11-16T18:15:00Z",
        "alerts": 1,
        "calls": 1,
        "cost_cents": "1.7500",
    }
    assert series["points"][1]["cost_cents"] == "0.0000"


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 3_600, 86_400, 86_400 * 59, 86_400 * 5_000])
def test_bucket_length_leaves_few_buckets(seconds: int) -> None:
    last = NOW + timedelta(seconds=seconds)
    length = traffic.bucket_length(NOW, last)
    begins, ends = (int(at.timestamp()) // length for at in (NOW, last))
    assert ends - begins < traffic.MOST_POINTS


def test_gather_counts_a_call_of_two_triggers_once(tenant: Tenant) -> None:
    tenant.incidents_per_hour = 0
    tenant.save()
    reports: list[Any] = [
        Report(trigger_type=kind, call_id="same", occurred_at=NOW + timedelta(seconds=after))
        for after, kind in enumerate(("rate_limit", "freeze"))
    ]
    with clock.pretend(NOW + timedelta(minutes=1)):
        absorbed = aggregation.absorb(tenant=tenant, alerts=reports, via="key")
    (incident,) = absorbed.incidents.values()
    found = gathered(incident)
    assert (found["selection"]["alerts_covered"], found["selection"]["calls_covered"]) == (2, 1)
    assert [point["calls"] for point in found["series"]["points"]] == [1, 0]
    (counts,) = assembly.gather(incident, raw_steps=False).checks
    assert counts["passed"], counts


def test_gather_gives_hashes_and_contents_only_when_asked(tenant: Tenant) -> None:
    incident = scenarios.everything(tenant)
    plain, raw = gathered(incident), gathered(incident, raw_steps=True)
    (run,) = [run for run in plain["runs"] if run["trace"]]
    assert run["run_id"] == RUN
    assert [step["sha256"] for step in run["trace"]["steps"]] == list(map(bundles.sha256, CONTENTS))
    assert all("content" not in step for step in run["trace"]["steps"])
    assert plain["redactions"][0]["pointer"] == "/runs/0/trace/steps"
    assert bundles.at(plain, plain["redactions"][0]["pointer"])
    assert [step["content"] for step in raw["runs"][0]["trace"]["steps"]] == list(CONTENTS)
    assert raw["redactions"] == []
    assert {"subject": "run recon-b", "detail": "No trace was received for this run."} in raw[
        "gaps"
    ]


def test_gather_says_how_many_contents_have_their_hash(tenant: Tenant) -> None:
    incident = scenarios.everything(tenant)
    scenarios.trace(incident, run_id="recon-b", contents=[None, "kept"])
    Step.objects.create(
        tenant=tenant,
        trace_id=Step.objects.first().trace_id,  # type: ignore[union-attr]
        step_index=9,
        timestamp=NOW,
        step_type="x",
        content="other",
        sha256="0" * 64,
    )
    checks = {check["name"]: check for check in assembly.gather(incident, raw_steps=False).checks}
    assert checks["step hashes"]["detail"].startswith("4 of 5 step contents")
    assert not checks["step hashes"]["passed"]
    assert checks["evidence hashes"]["passed"]
    assert checks["alert counts"]["passed"]


def test_gather_tells_evidence_as_it_was_hashed(tenant: Tenant) -> None:
    (evidence,) = gathered(scenarios.everything(tenant))["evidence"]
    assert json.loads(evidence["data"]) == {"retry_after_s": 30.5, "text": "häßlich"}
    assert bundles.sha256(evidence["data"]) == evidence["sha256"]


def test_gather_knows_the_rules_of_that_time(tenant: Tenant) -> None:
    scenarios.rule(tenant, (timedelta(days=-9), {}), (timedelta(days=-8), {"is_active": False}))
    scenarios.rule(tenant, (timedelta(days=-9), {"trigger_type": "freeze"}))
    scenarios.rule(tenant, (timedelta(hours=3), {}))
    kept = scenarios.rule(
        tenant, (timedelta(days=-7), {}), (timedelta(minutes=2), {"mode": "active"})
    )
    incident = scenarios.resolved(scenarios.opened(tenant))
    Prevention.objects.create(
        tenant=tenant,
        rule=kept,
        revision=2,
        mode="active",
        alert_key=clock.uuid7(),
        trigger_type="rate_limit",
        occurred_at=NOW,
        created_at=NOW,
    )
    found = gathered(incident)["rules_in_force"]
    assert [(rule["id"], rule["revision"], rule["mode"]) for rule in found] == [
        (str(kept.pk), 1, "shadow"),
        (str(kept.pk), 2, "active"),
    ]
    assert found[0]["in_force_until"] == found[1]["in_force_since"]
    assert found[1]["in_force_until"] is None
    assert [rule["preventions"] for rule in found] == [0, 1]
    assert found[0]["matches"] == {"trigger_type": "rate_limit"}


def test_gather_counts_others_of_the_same_kind(tenant: Tenant) -> None:
    earlier = scenarios.resolved(scenarios.opened(tenant, calls=2))
    Incident.objects.filter(pk=earlier.pk).update(started_at=NOW - timedelta(days=29))
    with clock.pretend(NOW + timedelta(hours=4)):
        (incident,) = aggregation.absorb(
            tenant=tenant,
            alerts=[Report(trigger_type="rate_limit", group_key="large-2", call_id="later")],
            via="key",
        ).incidents.values()
    scenarios.opened(TenantFactory.create())
    found = gathered(incident)["recurrence"]
    assert found == {"window_days": 30, "occurrences": 1, "incident_ids": [str(earlier.pk)]}
    Incident.objects.filter(pk=earlier.pk).update(started_at=NOW - timedelta(days=31))
    assert gathered(incident)["recurrence"]["occurrences"] == 0


def test_gather_lists_the_lessons_of_this_incident_alone(tenant: Tenant) -> None:
    incident = scenarios.everything(tenant)
    other = lifecycle.open_by_hand(tenant=tenant, by=ADA, title="Odd", severity=Severity.LOW)
    scenarios.lesson(other)
    (lesson,) = gathered(incident)["lessons"]
    assert (lesson["title"], lesson["status"]) == ("Give batch work its own quota", "pending")


@pytest.mark.django_db(transaction=True)
def test_gather_lets_go_of_the_incident_before_the_transaction_ends(tenant: Tenant) -> None:
    incident = scenarios.opened(tenant)

    def touch() -> int:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
                return Incident.objects.filter(pk=incident.pk).update(title="Touched")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as elsewhere, transaction.atomic():
        gathered(incident)
        assert elsewhere.submit(touch).result() == 1


def test_gather_refuses_an_incident_that_is_gone(tenant: Tenant) -> None:
    with pytest.raises(IncidentNotFound):
        gathered(Incident(pk=clock.uuid7(), tenant=tenant))


def test_gather_refuses_more_than_a_bundle_holds(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = scenarios.everything(tenant)
    monkeypatch.setattr(canonical, "MAX_BYTES", 3 * 150 + 20)
    with pytest.raises(BundleTooLarge, match="Export it without the raw steps"):
        gathered(incident, raw_steps=True)
    gathered(incident)
    monkeypatch.setattr(canonical, "MAX_BYTES", 3 * 150 - 1)
    with pytest.raises(BundleTooLarge, match=r"The 3 steps of its runs take at least 450 bytes"):
        gathered(incident)
