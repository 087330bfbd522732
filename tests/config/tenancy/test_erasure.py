"""Erasing a tenant: nothing of it is left anywhere, and nothing of anybody else is touched."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from config import clock
from config.actors import COMMAND_LINE
from config.operations.models import AuditEvent
from config.tenancy.models import ApiKey, StaffTenant, Tenant
from config.tenancy.services import erasure
from exports.enums import BundleType
from exports.services import exporting
from incidents.enums import ResolutionMethod, RuleMode, WebhookEvent
from incidents.models import EndedAlert, Event, Incident, SenderSettings, SeverityTarget
from incidents.services import (
    costs,
    evaluations,
    lifecycle,
    retention,
    rollup,
    senders,
    traces,
    webhooks,
)
from incidents.services.traces import StepFacts
from lessons.models import Lesson, Proposal
from lessons.services import capture
from lessons.services import lifecycle as lessons
from tests.factories.facts import BY, alert, fail, make_rule, spend, violate
from tests.factories.people import person
from tests.factories.tenancy import TenantFactory, issue_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_key_is_left(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def full() -> Tenant:
    """A tenant with something in nearly every table."""
    tenant: Tenant = TenantFactory.create(alert_days=3_000, ingest_per_minute=1_000)
    issue_key(tenant)
    webhooks.create(by=BY, tenant=tenant, url="https://example.com/", events=list(WebhookEvent))
    senders.change_settings(by=BY, tenant=tenant, changes={"keep_prompts": True})
    SeverityTarget.objects.create(tenant=tenant, severity=3, resolve_seconds=60)
    make_rule(tenant, RuleMode.SHADOW, trigger_type="rate_limit")
    alert(tenant, call_id="call", agent_id="agent")
    fail(tenant)
    violate(tenant)
    spend(tenant)
    costs.record(tenant=tenant, request_id="r", cost_cents=Decimal(1))
    evaluations.record(
        tenant=tenant, run_id="run-1", outcome="ok", policies_checked=1, confidence=1
    )
    traces.store(
        tenant=tenant,
        run_id="run-1",
        trace_id="t",
        steps=[StepFacts(step_index=0, timestamp=clock.now(), step_type="call", content="said")],
    )
    EndedAlert.objects.create(tenant=tenant, key=clock.uuid7(), created_at=clock.now())
    capture.capture()
    capture.draft()
    for lesson in Lesson.objects.for_tenant(tenant):
        lessons.convert(lesson=lesson, by=BY)
    incident = Incident.objects.for_tenant(tenant)[0]
    exporting.export(incident=incident, bundle_type=BundleType.EVIDENCE, by=BY)
    lifecycle.resolve(incident=incident, by=BY, method=ResolutionMethod.MANUAL)
    rollup.fold()
    retention.retire_alerts()
    return tenant


def test_erase_leaves_nothing_but_the_audit_log() -> None:
    gone, kept = full(), full()
    staff = person("viewer", gone, kept)
    entry = {
        "user": staff,
        "content_type": ContentType.objects.get_for_model(Incident),
        "action_flag": CHANGE,
    }
    for tenant in (gone, kept):
        incident = Incident.objects.for_tenant(tenant)[0]
        LogEntry.objects.create(object_id=str(incident.pk), object_repr=str(incident), **entry)
    before = erasure.contents(kept.pk)
    # The test would say little of a table that is empty.
    missing = {model._meta.db_table for model in erasure.owned()} - set(before)
    assert missing <= {
        "incidents_spanstep",
        "incidents_webhookattempt",
        "tenancy_idempotencyrecord",
        "tenancy_requestcount",
        "tenancy_savedview",
        "incidents_rollupchange",
        "lessons_nearthreshold",
        "exports_bundlereview",
        "lessons_lessonevent",
    }
    audited = AuditEvent.objects.filter(tenant_id=gone.pk).count()
    erased: dict[str, int] = {}
    for table, rows in erasure.erase(tenant_id=gone.pk, by=COMMAND_LINE):
        erased[table] = erased.get(table, 0) + rows
    connection.check_constraints()
    assert not Tenant.objects.filter(pk=gone.pk).exists()
    assert erasure.contents(gone.pk) == {}
    assert erasure.contents(kept.pk) == before
    assert rollup.differences() == []
    assert list(LogEntry.objects.values_list("object_id", flat=True)) == [
        str(Incident.objects.for_tenant(kept)[0].pk)
    ]
    assert list(StaffTenant.objects.values_list("tenant_id", flat=True)) == [kept.pk]
    log = AuditEvent.objects.filter(tenant_id=gone.pk)
    assert log.count() > audited
    steps = log.filter(action="erasure").values_list("target", "data__rows")
    assert {table for table, _ in steps} == set(erased)
    assert sum(rows for _, rows in steps) == sum(erased.values())
    assert log.filter(action="tenant erased", via="command line").count() == 1


def test_erase_goes_on_after_it_was_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = full()
    monkeypatch.setattr(erasure, "STEP", 1)
    steps = erasure.erase(tenant_id=tenant.pk, by=COMMAND_LINE)
    for _ in range(5):
        next(steps)
    steps.close()
    assert Tenant.objects.filter(pk=tenant.pk).exists()
    # The keys went first: nothing new comes in.
    assert not ApiKey.objects.exists()
    assert Event.objects.for_tenant(tenant).exists()
    list(erasure.erase(tenant_id=tenant.pk, by=COMMAND_LINE))
    assert erasure.contents(tenant.pk) == {}
    assert not Tenant.objects.filter(pk=tenant.pk).exists()


def test_groups_name_every_table_of_tenants_once_and_what_points_before() -> None:
    order = [model for group in erasure.groups() for model in group]
    assert len(order) == len(set(order))
    columns = {
        model
        for model in apps.get_models()
        if any(field.column == "tenant_id" for field in model._meta.concrete_fields)
    }
    assert columns - set(order) == {AuditEvent}
    assert order[0] is ApiKey
    assert order.index(Event) < order.index(Incident)
    assert (Lesson, Proposal) in erasure.groups()
    assert (SenderSettings,) in erasure.groups()


def test_erase_tenant_without_yes_says_what_would_go() -> None:
    tenant = full()
    before = erasure.contents(tenant.pk)
    said = StringIO()
    with pytest.raises(CommandError, match="--yes"):
        call_command("erase_tenant", tenant.pk, stdout=said)
    assert "incidents_alert\n" in said.getvalue()
    assert erasure.contents(tenant.pk) == before
    call_command("erase_tenant", tenant.pk, "--yes", stdout=said)
    assert said.getvalue().endswith(f"Tenant {tenant.pk} is erased.\n")
    with pytest.raises(CommandError, match="no tenant"):
        call_command("erase_tenant", tenant.pk, "--yes", stdout=said)
