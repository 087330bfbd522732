"""A tenant with something of everything, whose every word carries the tenant's own mark.

Two of them have the same natural names (runs, calls, policies, requests), so that whatever mixes
tenants up shows the one's mark to the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.test import Client

from config import clock
from config.actors import Actor
from config.tenancy.models import RequestCount, Tenant
from exports.enums import BundleType, ReviewState
from exports.models import Bundle
from exports.services import exporting, reviews
from incidents.enums import DeliveryStatus, FailureType, ResolutionMethod, RuleMode, Severity
from incidents.models import (
    EndedAlert,
    Incident,
    SenderSettings,
    SeverityTarget,
    SpanStep,
    WebhookAttempt,
    WebhookDelivery,
)
from incidents.services import (
    aggregation,
    costs,
    evaluations,
    evidence,
    failures,
    lifecycle,
    rollup,
    rules,
    runs,
    traces,
    violations,
    webhooks,
)
from incidents.services.reports import Report
from lessons.enums import LessonType
from lessons.services import capture, reporting
from lessons.services import lifecycle as lessons
from tests.factories.tenancy import bearer, issue_key

RUN = "nightly-run"
CATEGORY = "execution_failure"
POLICY = "no-secrets"
SENTRY_SECRET = "what sentry signs with"


@dataclass
class World:
    """What there is of one tenant: its objects' ids by what they are, and a key of all scopes."""

    tenant: Tenant
    mark: str
    key: str
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.key)

    @property
    def by(self) -> Actor:
        return Actor(via=f"key of {self.mark}", name=f"Ada of {self.mark}")

    def words(self, what: str) -> str:
        return f"{what} of {self.mark}"


def build(mark: str) -> World:
    """A tenant named after its mark, with one of everything that can be listed or addressed."""
    key, plaintext = issue_key(
        Tenant.objects.create(id=mark, name=f"Tenant {mark}", incidents_per_hour=100_000)
    )
    world = World(key.tenant, mark, plaintext, {"run": RUN, "category": CATEGORY})
    world.ids["prefix"] = key.prefix
    SenderSettings.objects.create(tenant=world.tenant, sentry_secret=SENTRY_SECRET)
    SeverityTarget.objects.create(
        tenant=world.tenant, severity=Severity.HIGH, acknowledge_seconds=60, resolve_seconds=600
    )
    RequestCount.objects.create(tenant=world.tenant, kind="read", minute=clock.now(), count=1)
    EndedAlert.objects.create(tenant=world.tenant, key=clock.uuid7(), created_at=clock.now())
    runs.announce(tenant=world.tenant, run_id=RUN, goal=world.words("goal"), agent_id="planner")
    for name, number in (("incident", 0), ("resolved", 1)):
        grow(world, number, incident=name)
    lifecycle.resolve(
        incident=Incident.objects.get(pk=world.ids["resolved"]),
        by=world.by,
        method=ResolutionMethod.MANUAL,
        summary=world.words("summary"),
    )
    deferred = reporting.record(
        tenant=world.tenant,
        by=world.by,
        lesson_type=LessonType.FAILURE,
        title=world.words("put off"),
        description=world.words("description"),
        run_id="another-run",
    ).lesson
    assert deferred is not None
    lessons.defer(lesson=deferred, by=world.by, until=clock.now() + timedelta(days=1))
    world.ids["deferred"] = str(deferred.pk)
    reporting.note_near_threshold(
        tenant=world.tenant,
        by=world.by,
        run_id=RUN,
        metric="tokens",
        current_value=90,
        threshold_value=100,
    )
    capture.capture()
    rollup.fold()
    Client(headers=world.headers).post(
        f"/api/v1/incidents/{world.ids['incident']}/events/",
        json.dumps({"description": world.words("comment")}),
        content_type="application/json",
        headers={"Idempotency-Key": "the-same-key"},
    )
    return world


def grow(world: World, number: int, *, incident: str = "incident") -> None:
    """Adds one more of everything, in the same places as the first; ``number`` tells it apart."""
    tenant, by, ids = world.tenant, world.by, world.ids
    endpoint = webhooks.create(
        by=by,
        tenant=tenant,
        url=f"https://{world.mark}.example/{number}",
        events=["opened", "acknowledged"],
        description=world.words("endpoint"),
    )
    rule = rules.create(
        tenant=tenant,
        by=by,
        name=world.words(f"rule {number}"),
        mode=RuleMode.SHADOW,
        policy_type=POLICY,
        agent_id="planner",
        error_code=f"CODE_{number}",
    )
    rules.update(rule=rule, by=by, changes={"name": world.words(f"changed rule {number}")})
    ids.setdefault("rule", str(rule.pk))
    first_rule = rules.get(tenant=tenant, rule_id=rule.pk if number == 0 else UUID(ids["rule"]))
    rules.update(rule=first_rule, by=by, changes={"name": world.words(f"rule as of {number}")})
    given: dict[str, Any] = {
        "trigger_type": "failure_spike",
        "category": CATEGORY,
        "agent_id": "planner",
        "error_message": world.words("message"),
        "metadata": msgspec.Raw(json.dumps({"secret": world.words("metadata")}).encode()),
        "cost_delta_cents": "12.5",
        "run_id": RUN,
    }
    # One more incident, which the first rule would have prevented, and one more call of the first.
    for group, call in ((f"group-{number}", "first"), ("group-0", f"call-{number}")):
        absorbed = aggregation.absorb(
            tenant=tenant,
            alerts=[Report(group_key=group, call_id=call + group, error_code="CODE_0", **given)],
            via=world.by.via,
        )
        ids.setdefault(incident, str(next(iter(absorbed.incidents))))
    # The same failure again, each time after the one before was over.
    again = aggregation.absorb(
        tenant=tenant,
        alerts=[Report(group_key="recurring", call_id=f"again-{number}", **given)],
        via=world.by.via,
    )
    (recurring,) = again.incidents
    ids.setdefault("recurring", str(recurring))
    lifecycle.resolve(
        incident=Incident.objects.get(pk=recurring),
        by=by,
        method=ResolutionMethod.MANUAL,
        summary=world.words("summary"),
    )
    first = Incident.objects.get(pk=ids["incident"])
    failed = failures.record(
        tenant=tenant,
        by=by,
        run_id=RUN,
        failure_type=FailureType.EXCEPTION,
        error_code="STEP_FAILURE",
        error_message=world.words("failure"),
        request_id=f"request-{number}",
        captured={"secret": world.words("evidence")},
    )
    violation = violations.record(
        tenant=tenant,
        by=by,
        run_id=RUN,
        policy_id=POLICY,
        rule_id=f"rule-{number}",
        reason=world.words("reason"),
    ).violation
    costs.record_anomaly(
        tenant=tenant,
        by=by,
        anomaly_id=f"anomaly-{number}",
        kind="ABSOLUTE_SPIKE",
        severity=Severity.HIGH,
        cost_delta_cents=Decimal("12.5"),
        title=world.words("anomaly"),
        description=world.words("spike"),
        run_id=RUN,
    )
    costs.record(
        tenant=tenant,
        request_id=f"request-{number}",
        cost_cents=Decimal(1),
        run_id=RUN,
        model=world.words("model"),
    )
    evaluations.record(
        tenant=tenant,
        run_id=RUN if number == 0 else f"run-{number}",
        outcome=world.words("outcome"),
        policies_checked=1,
        confidence=1,
    )
    runs.announce(tenant=tenant, run_id=f"run-{number}", goal=world.words("goal"))
    evidence.attach(incident=first, by=by, kind="log", data={"secret": world.words("data")})
    lifecycle.comment(incident=first, by=by, description=world.words("comment"))
    if number == 0:
        stored = traces.store(
            tenant=tenant,
            run_id=RUN,
            trace_id="trace",
            steps=[
                traces.StepFacts(
                    step_index=index,
                    timestamp=clock.now(),
                    step_type="tool",
                    content=world.words("step"),
                )
                for index in range(2)
            ],
        )
        SpanStep.objects.create(tenant=tenant, trace=stored.trace, span_id=7, step_index=0)
    # A draft is of one lesson: the first converted one gives it, the others stay pending.
    for name in ("lesson", "converted"):
        lesson = reporting.record(
            tenant=tenant,
            by=by,
            lesson_type=LessonType.FAILURE,
            title=world.words(name),
            description=world.words("description"),
            run_id=f"{name}-{number}",
            detected_pattern={"error_code": "CODE_0"},
        ).lesson
        assert lesson is not None
        ids.setdefault(name, str(lesson.pk))
        if name == "converted":
            lesson = lessons.convert(lesson=lesson, by=by)
            ids.setdefault("proposal", str(lesson.proposal_id))
    _export(world, first)
    ids.setdefault("violation", str(violation.pk))
    ids.setdefault("failure", str(failed.failure.pk))
    ids.setdefault("webhook", str(endpoint.pk))
    reviews.add(
        bundle=Bundle.objects.get(pk=ids["bundle"]),
        state=ReviewState.ACCEPTED,
        notes=world.words("notes"),
        by=by,
    )
    delivery = WebhookDelivery.objects.filter(endpoint_id=ids["webhook"]).earliest("created_at")
    ids.setdefault("delivery", str(delivery.pk))
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        status=DeliveryStatus.DELIVERED,
        next_attempt_at=None,
        finished_at=clock.now(),
        body=world.words("delivery"),
    )
    WebhookAttempt.objects.create(
        tenant=tenant,
        delivery=delivery,
        number=number + 1,
        duration_ms=5,
        status_code=200,
        response=world.words("response"),
        created_at=clock.now(),
    )


def _export(world: World, incident: Incident) -> None:
    """The first export is a real one; the others are copies, because a PDF takes its time."""
    if (known := world.ids.get("bundle")) is None:
        bundle = exporting.export(
            incident=incident,
            bundle_type=BundleType.EVIDENCE,
            by=world.by,
            reason=world.words("export"),
            include_raw_steps=True,
        ).bundle
        world.ids["bundle"] = str(bundle.pk)
        return
    copy = Bundle.objects.get(pk=known)
    copy.pk = clock.uuid7()
    copy.created_at = clock.now()
    copy.save(force_insert=True)
