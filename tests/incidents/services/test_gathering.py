"""Single reports of several threads, gathered into batches."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection, transaction

from config.tenancy.models import Tenant
from incidents.enums import Outcome
from incidents.models import Alert, Incident
from incidents.services import aggregation
from incidents.services.aggregation import Placed, gathering
from incidents.services.reports import AnyReport, Report
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db(transaction=True)


def report(call: str, trigger: str = "failure_spike") -> Report:
    return Report(trigger_type=trigger, call_id=call)


def in_threads(
    works: Sequence[Callable[[], Any]], *, led: threading.Event | None = None
) -> list[Any]:
    """What each returns or raises, each in a thread of its own; all but the first wait for the
    event.
    """
    results: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        try:
            if place and led is not None:
                assert led.wait(10)
            results[place] = works[place]()
        except Exception as error:  # noqa: BLE001
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


class Gate:
    """Stands before absorb: the first batch waits until so many reports wait behind it.

    ``entered`` is set when that batch is complete, so that what comes from then on is behind it.
    """

    def __init__(self, behind: int, failing: str | None = None) -> None:
        self.behind = behind
        self.failing = failing
        self.sizes: list[int] = []
        self.entered = threading.Event()
        self._absorb = aggregation.absorb

    def __call__(self, *, tenant: Tenant, alerts: Sequence[AnyReport], via: str) -> Any:
        self.sizes.append(len(alerts))
        self.entered.set()
        if len(self.sizes) == 1:
            turns = threading.Event()
            while sum(map(len, gathering._groups.values())) < self.behind:
                turns.wait(0.001)
        if self.failing in [alert.call_id for alert in alerts]:
            raise ZeroDivisionError
        return self._absorb(tenant=tenant, alerts=alerts, via=via)


@pytest.fixture
def tenant() -> Tenant:
    tenant: Tenant = Tenant.objects.create(id="gathered")
    return tenant


@pytest.fixture(autouse=True)
def _nobody_is_left_waiting() -> Iterator[None]:
    yield
    assert not gathering._groups


def test_absorb_one_waits_for_who_is_on_the_way(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_PATIENCE", 20)
    gate = Gate(behind=0)
    monkeypatch.setattr(gathering, "absorb", gate)
    announced, leads = threading.Barrier(3), threading.Event()

    def comes(call: str, *, first: bool) -> Placed:
        with aggregation.on_the_way():
            announced.wait(10)
            if not first:
                # Until the first has come, and waits as the leader that it is.
                assert leads.wait(10)
            return aggregation.absorb_one(tenant=tenant, report=report(call))

    def turns_back() -> None:
        with aggregation.on_the_way():
            announced.wait(10)
            while not gathering._groups:
                leads.wait(0.001)
            leads.set()

    placed = in_threads(
        [lambda: comes("a", first=True), lambda: comes("b", first=False), turns_back]
    )
    assert [one.outcome for one in placed[:2]] == [Outcome.OPENED, Outcome.AGGREGATED]
    assert gate.sizes == [2]


def test_absorb_one_does_not_wait_for_who_never_comes(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, done = threading.Event(), threading.Event()

    def never_comes() -> None:
        with aggregation.on_the_way():
            gone.set()
            assert done.wait(30)

    def comes() -> Placed:
        assert gone.wait(10)
        placed = aggregation.absorb_one(tenant=tenant, report=report("a"))
        done.set()
        return placed

    placed = in_threads([never_comes, comes])[1]
    assert placed.outcome == Outcome.OPENED


def test_absorb_one_takes_along_what_waits(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(behind=7)
    monkeypatch.setattr(gathering, "absorb", gate)
    calls = [f"call-{number % 6}" for number in range(8)]
    placed = in_threads(
        [
            lambda call=call: aggregation.absorb_one(tenant=tenant, report=report(call))
            for call in calls
        ],
        led=gate.entered,
    )
    assert gate.sizes == [1, 7]
    outcomes = Counter(one.outcome for one in placed)
    assert outcomes == {Outcome.OPENED: 1, Outcome.AGGREGATED: 5, Outcome.DUPLICATE: 2}
    incident = Incident.objects.get()
    assert {one.incident for one in placed} == {incident}
    assert incident.calls_affected == 6
    assert_consistent(tenant.pk, received=8)


def test_absorb_one_alone_is_one_batch_of_one(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(behind=0)
    monkeypatch.setattr(gathering, "absorb", gate)
    for number in range(3):
        aggregation.absorb_one(tenant=tenant, report=report(f"call-{number}"))
    assert gate.sizes == [1, 1, 1]


def test_absorb_one_that_fails_fails_alone(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(behind=4, failing="bad")
    monkeypatch.setattr(gathering, "absorb", gate)
    results = in_threads(
        [
            lambda call=call: aggregation.absorb_one(tenant=tenant, report=report(call))
            for call in ("a", "b", "bad", "c", "d")
        ],
        led=gate.entered,
    )
    failed = [isinstance(one, ZeroDivisionError) for one in results]
    assert failed == [False, False, True, False, False]
    assert set(Alert.objects.values_list("call_id", flat=True)) == {"a", "b", "c", "d"}
    assert_consistent(tenant.pk, received=4)


def test_absorb_one_keeps_tenants_and_senders_apart(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Tenant.objects.create(id="other")
    gate = Gate(behind=0)
    monkeypatch.setattr(gathering, "absorb", gate)
    works = [
        lambda of=of, via=via: aggregation.absorb_one(tenant=of, report=report("c"), via=via)
        for of in (tenant, other)
        for via in ("one key", "another")
    ]
    results = in_threads(works)
    assert gate.sizes == [1, 1, 1, 1]
    assert Counter(one.outcome for one in results) == {Outcome.OPENED: 2, Outcome.DUPLICATE: 2}


def test_absorb_one_inside_a_transaction_is_the_callers_to_undo(tenant: Tenant) -> None:
    with transaction.atomic():
        placed = aggregation.absorb_one(tenant=tenant, report=report("c"))
        assert isinstance(placed, Placed)
        transaction.set_rollback(True)
    assert not Alert.objects.exists()
    assert aggregation.absorb_one(tenant=tenant, report=report("c")).outcome == Outcome.OPENED


def test_absorb_one_in_a_flood_counts_each_call_once(tenant: Tenant) -> None:
    def flood() -> list[Placed]:
        return [
            aggregation.absorb_one(tenant=tenant, report=report(f"call-{number}"))
            for number in range(25)
        ]

    placed = [one for results in in_threads([flood] * 8) for one in results]
    outcomes = Counter(one.outcome for one in placed)
    assert outcomes == {Outcome.OPENED: 1, Outcome.AGGREGATED: 24, Outcome.DUPLICATE: 175}
    assert_consistent(tenant.pk, received=200)
