"""The sums are the incidents', at every moment, whatever happens to them."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from decimal import Context, Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, Severity, Status
from incidents.errors import KeyHeld
from incidents.models import Incident, RollupChange, RollupDay, RollupHour
from incidents.services import aggregation, lifecycle, rollup
from incidents.services.reports import Report
from tests.factories.reading import NOW, example, incident
from tests.factories.tenancy import TenantFactory

BY = Actor(via="test")

ACTS = (
    "alert",
    "flood",
    "earlier",
    "acknowledge",
    "resolve",
    "reopen",
    "severity",
    "stale",
    "fold",
)


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), min_size=1, max_size=15))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.django_db
def test_differences_after_anything_that_happens(acts: list[tuple[str, int]]) -> None:
    with example([]) as (tenant, _):
        moment = NOW
        for act, number in acts:
            moment += timedelta(minutes=7)
            with clock.pretend(moment):
                do(tenant, act, number)
        assert rollup.differences() == []
        rollup.fold()
        assert not RollupChange.objects.exists()
        assert rollup.differences() == []


def do(tenant: Tenant, act: str, number: int) -> None:
    existing = list(Incident.objects.filter(tenant=tenant).order_by("created_at", "id"))
    one = existing[number % len(existing)] if existing else None
    match act:
        case "alert":
            aggregation.absorb(tenant=tenant, alerts=[report(number)])
        case "flood":
            calls = [report(number, call_id=f"{clock.now()}-{n}") for n in range(30)]
            aggregation.absorb(tenant=tenant, alerts=calls)
        case "earlier":
            occurred = clock.now() - timedelta(minutes=8)
            aggregation.absorb(tenant=tenant, alerts=[report(number, occurred_at=occurred)])
        case "stale":
            with clock.pretend(clock.now() + timedelta(hours=1)):
                aggregation.resolve_stale()
        case "fold":
            rollup.fold()
        case "acknowledge" if one and one.status == Status.OPEN:
            lifecycle.acknowledge(incident=one, by=BY)
        case "resolve" if one and one.status != Status.RESOLVED:
            lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.ROLLBACK)
        case "reopen" if one and one.status == Status.RESOLVED:
            with suppress(KeyHeld):  # another one has its key: nothing changed
                lifecycle.reopen(incident=one, by=BY, reason="again")
        case "severity" if one:
            severity = Severity(number + 1)
            lifecycle.set_severity(incident=one, by=BY, severity=severity, reason="told")


def report(number: int, **fields: Any) -> Report:
    return Report(
        trigger_type="failure_spike",
        group_key=f"group-{number}",
        category=None if number == 3 else "execution_failure",
        cost_delta_cents="1.5",
        **fields,
    )


@pytest.mark.django_db
def test_absorb_into_an_open_incident_notes_no_change() -> None:
    tenant = TenantFactory.create()
    aggregation.absorb(tenant=tenant, alerts=[report(1, call_id="a")])
    before = RollupChange.objects.count()
    aggregation.absorb(tenant=tenant, alerts=[report(1, call_id="b")])
    assert Incident.objects.get().alerts_count == 2
    assert RollupChange.objects.count() == before


@pytest.mark.django_db
def test_absorb_that_fails_leaves_no_change_behind() -> None:
    tenant = TenantFactory.create()
    with transaction.atomic():
        aggregation.absorb(tenant=tenant, alerts=[report(1)])
        assert RollupChange.objects.exists()
        transaction.set_rollback(True)
    assert not RollupChange.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("folded", [False, True])
def test_differences_after_rows_were_deleted_and_moved(folded: bool) -> None:
    tenant = TenantFactory.create()
    incidents = [incident(tenant, resolved_after=timedelta(minutes=n)) for n in range(4)]
    if folded:
        rollup.fold()
    incidents[0].delete()
    Incident.objects.filter(pk=incidents[1].pk).update(
        started_at=NOW - timedelta(days=9), category="moved"
    )
    Incident.objects.filter(pk=incidents[2].pk).update(alerts_count=9, calls_affected=9)
    assert rollup.differences() == []


@pytest.mark.django_db
def test_differences_names_where_sums_are_wrong() -> None:
    tenant = TenantFactory.create()
    incident(tenant, severity=Severity.HIGH)
    rollup.fold()
    RollupDay.objects.update(human=5)
    (found,) = rollup.differences()
    assert found.table == "incidents_rollupday"
    assert (found.tenant, found.keys) == (tenant.pk, (NOW.date(), Severity.HIGH))


@pytest.mark.django_db
def test_rebuild_makes_the_sums_of_the_incidents() -> None:
    tenant = TenantFactory.create()
    incident(tenant, resolved_after=timedelta(minutes=2))
    rollup.fold()
    incident(tenant)
    RollupHour.objects.update(incidents=77)
    rollup.rebuild()
    assert rollup.differences() == []
    assert sum(hour.incidents for hour in RollupHour.objects.all()) == 2


@pytest.mark.django_db
def test_check_rollup_when_the_sums_are_right_and_when_not(capsys: Any) -> None:
    tenant = TenantFactory.create()
    incident(tenant)
    call_command("check_rollup")
    assert "The sums are those of the incidents." in capsys.readouterr().out
    rollup.fold()
    RollupHour.objects.update(calls=1)
    with pytest.raises(CommandError, match="not those of the incidents"):
        call_command("check_rollup")
    assert f"incidents_rolluphour: {tenant.pk}" in capsys.readouterr().err
    call_command("check_rollup", "--rebuild")


def counted(histogram: Decimal) -> dict[int, int]:
    return {slot: count for slot, count in enumerate(rollup.slots(histogram)) if count}


@given(st.lists(st.integers(0, 2**45), max_size=30))
def test_slots_of_a_histogram_made_of_digits(times: list[int]) -> None:
    context = Context(prec=5_000)
    histogram = Decimal(0)
    for us in times:
        unit = Decimal(1).scaleb(rollup.SLOT_DIGITS * rollup.slot_of(us))
        histogram = context.add(histogram, unit)
    assert counted(histogram) == Counter(map(rollup.slot_of, times))
    for us in times:
        low, high = rollup.slot_range(rollup.slot_of(us))
        assert low is None or low <= us
        assert high is None or us < high


@pytest.mark.django_db
@given(us=st.integers(0, 2**45) | st.sampled_from(rollup.SLOT_EDGES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_slot_of_is_what_the_database_counts_by(us: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT incidents_slot(%s)", [us])
        assert counted(cursor.fetchone()[0]) == {rollup.slot_of(us): 1}


@pytest.mark.django_db(transaction=True)
def test_fold_while_incidents_are_opened_and_resolved() -> None:
    tenant = TenantFactory.create(incidents_per_hour=100_000)
    stop = threading.Event()
    seen: list[int] = []
    errors: list[Exception] = []

    def watched(work: Any) -> threading.Thread:
        def body() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - asserted below
                errors.append(error)
            finally:
                connection.close()

        return threading.Thread(target=body)

    def write(name: int) -> None:
        for number in range(12):
            absorbed = aggregation.absorb(
                tenant=tenant,
                alerts=[
                    report(100 * name + number, call_id=f"{name}-{number}-{n}") for n in range(3)
                ],
            )
            for one in absorbed.incidents.values():
                lifecycle.resolve(incident=one, by=BY, method=ResolutionMethod.MANUAL)

    def fold() -> None:
        while not stop.is_set():
            rollup.fold()

    def read() -> None:
        from incidents.services import statistics

        while not stop.is_set():
            seen.append(statistics.of_tenant(tenant=tenant).total)

    helpers = [watched(fold), watched(fold), watched(read)]
    writers = [watched(lambda name=name: write(name)) for name in range(3)]
    for thread in (*helpers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in helpers:
        thread.join()
    assert errors == []
    assert rollup.differences() == []
    # Never one twice, never one lost, while changes move from notes to sums.
    assert seen == sorted(seen)
    assert Incident.objects.filter(tenant=tenant).count() == 36
