"""The aggregation service against the plain reference, step by step, with time going any way."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import Outcome, ResolutionMethod, Severity
from incidents.errors import KeyHeld
from incidents.models import Event, Incident
from incidents.services import aggregation, lifecycle
from incidents.services.reports import Report
from tests import reference
from tests.incidents.services.checks import assert_consistent

BASE = clock.now().replace(second=0, microsecond=0) - timedelta(hours=6)
BY = Actor(via="test", name="Ada")

alerts = st.builds(
    reference.Alert,
    trigger=st.sampled_from(["rate_limit", "failure_spike", "manual"]),
    group=st.sampled_from(["", "a", "b"]),
    call=st.one_of(st.none(), st.integers(0, 40).map(lambda n: f"call-{n}")),
    at=st.one_of(
        # Around the edges of windows, and anywhere in a few hours.
        st.builds(
            lambda window, offset: BASE + timedelta(seconds=60 * window + offset),
            st.integers(0, 20),
            st.sampled_from([-61, -60, -31, -1, 0, 1, 29, 30, 31]),
        ),
        st.integers(0, 3 * 3600).map(lambda seconds: BASE + timedelta(seconds=seconds)),
    ),
    cents=st.integers(0, 5),
)


def as_report(alert: reference.Alert) -> Report:
    return Report(
        trigger_type=alert.trigger,
        group_key=alert.group or None,
        call_id=alert.call,
        occurred_at=alert.at,
        cost_delta_cents=str(alert.cents),
    )


class Machine(RuleBasedStateMachine):
    """A tenant with a small window, cooldown and limit, so that all of them matter."""

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.tenant = Tenant.objects.create(
            id=f"machine-{clock.uuid7()}",
            window_seconds=60,
            cooldown_seconds=30,
            incidents_per_hour=4,
        )
        self.model = reference.Reference(window=60, cooldown=30, limit=4)
        self.ids: dict[int, Any] = {}
        self.received = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    @rule(batch=st.lists(alerts, min_size=1, max_size=25))
    def report(self, batch: list[reference.Alert]) -> None:
        absorbed = aggregation.absorb(tenant=self.tenant, alerts=[as_report(a) for a in batch])
        for alert, outcome, id_ in zip(
            batch, absorbed.outcomes, absorbed.incident_ids, strict=True
        ):
            expected, incident = self.model.report(alert)
            assert Outcome(outcome).label == expected
            assert self.ids.setdefault(incident.number, id_) == id_
        self.received += len(batch)
        assert absorbed.received == len(batch)

    @rule(choice=st.integers(0, 1000), action=st.sampled_from(["acknowledge", "resolve", "low"]))
    def triage(self, choice: int, action: str) -> None:
        if not self.model.incidents:
            return
        model = self.model.incidents[choice % len(self.model.incidents)]
        if model.status == "resolved":
            return
        incident = Incident.objects.get(pk=self.ids[model.number])
        if action == "resolve":
            lifecycle.resolve(incident=incident, by=BY, method=ResolutionMethod.MANUAL)
            model.status = "resolved"
        elif action == "low":
            lifecycle.set_severity(incident=incident, by=BY, severity=Severity.LOW, reason="test")
            model.severity, model.base = 1, model.distinct_calls
        elif model.status == "open":
            lifecycle.acknowledge(incident=incident, by=BY)
            model.status = "acknowledged"

    @rule(choice=st.integers(0, 1000))
    def reopen(self, choice: int) -> None:
        resolved = [one for one in self.model.incidents if one.status == "resolved"]
        if not resolved:
            return
        model = resolved[choice % len(resolved)]
        incident = Incident.objects.get(pk=self.ids[model.number])
        key = (model.trigger, model.group, model.window)
        if any(
            one.status != "resolved" and (one.trigger, one.group, one.window) == key
            for one in self.model.incidents
        ):
            with pytest.raises(KeyHeld):
                lifecycle.reopen(incident=incident, by=BY, reason="test")
        else:
            lifecycle.reopen(incident=incident, by=BY, reason="test")
            model.status = "open"

    @rule()
    def repeat_everything(self) -> None:
        """Every call once more, in one batch: nothing changes but the tally."""
        calls = [
            Report(trigger_type=trigger, call_id=call, occurred_at=BASE)
            for trigger, call in self.model.seen
        ]
        absorbed = aggregation.absorb(tenant=self.tenant, alerts=calls)
        assert absorbed.outcomes == [Outcome.DUPLICATE] * len(calls)
        assert absorbed.incident_ids == [
            self.ids[incident.number] for incident in self.model.seen.values()
        ]
        self.received += len(calls)

    @invariant()
    def agrees(self) -> None:
        rows = {row.pk: row for row in Incident.objects.filter(tenant=self.tenant)}
        assert len(rows) == len(self.model.incidents)
        for model in self.model.incidents:
            row = rows[self.ids[model.number]]
            assert (row.trigger_type, row.group_key) == (model.trigger, model.group)
            assert (row.window_start, row.started_at) == (model.window, model.started)
            assert row.last_seen_at == model.last_seen
            assert (row.status, row.severity) == (model.status, model.severity)
            assert (row.alerts_count, row.calls_affected) == (model.alerts, model.distinct_calls)
            assert row.cost_delta_cents == Decimal(model.cents)
        assert_consistent(self.tenant.pk, received=self.received)
        opened = Event.objects.filter(tenant=self.tenant, event_type="opened")
        assert {event.incident_id for event in opened} == set(rows)
        assert len(opened) == len(rows)


@pytest.mark.django_db
def test_absorb_agrees_with_the_reference() -> None:
    run_state_machine_as_test(
        Machine,
        settings=hypothesis.settings(
            max_examples=40,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )


@pytest.mark.django_db
@hypothesis.settings(
    max_examples=30, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(batch=st.lists(alerts, min_size=1, max_size=40), cuts=st.sets(st.integers(1, 39)))
def test_absorb_in_any_cut_is_as_one_by_one(batch: list[reference.Alert], cuts: set[int]) -> None:
    with transaction.atomic():
        results = []
        for edges in ([], sorted(cuts), list(range(1, len(batch)))):
            tenant = Tenant.objects.create(
                id=f"cut-{clock.uuid7()}", window_seconds=60, incidents_per_hour=4
            )
            outcomes: list[int] = []
            bounds = [0, *(edge for edge in edges if edge < len(batch)), len(batch)]
            for start, end in itertools.pairwise(bounds):
                absorbed = aggregation.absorb(
                    tenant=tenant, alerts=[as_report(alert) for alert in batch[start:end]]
                )
                outcomes += absorbed.outcomes
            rows = Incident.objects.filter(tenant=tenant).values_list(
                "trigger_type",
                "group_key",
                "window_start",
                "started_at",
                "last_seen_at",
                "severity",
                "calls_affected",
                "alerts_count",
            )
            results.append((outcomes, sorted(rows)))
        assert results[0] == results[1] == results[2]
        transaction.set_rollback(True)
