"""Our readings as services, each beside its rivals, for the largest tenant."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from config import clock
from config.database.statements import run
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.enums import Severity
from incidents.models import SeverityTarget
from incidents.serializers.incidents import summary_of
from incidents.services import metrics, patterns, reads, recurrence, rollup, trends
from incidents.services import statistics as stats
from incidents.services.reads import Narrowing, Place
from tests.benchmarks.reading.history import LARGEST
from tests.benchmarks.reading.originals import MIGRATED, MODELLED, Originals
from tests.benchmarks.reading.rivals import UNRESOLVED, Rivals, Shape

ROUNDS, WARM_UP = 15, 6
# The original takes half a second; a few turns tell it well enough.
ORIGINAL_ROUNDS, ORIGINAL_WARM_UP = 5, 2
# How much of a day and of an hour a window cuts off is the hour's doing: little and most of both,
# and half, which is the most there is to read one by one.
HOURS = (0.1, 6.5, 12.0, 18.5)
MOST_OF_GOOD, MOST_OF_FURTHER = 1.2, 3.0
UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Reading:
    """A reading, its rivals, and what the original did, whichever its indexes.

    ``of_dashboard`` says that the cube is a bar for it, too; lists are not ``plans_once``.
    """

    name: str
    ours: Shape
    good: Shape | None = None
    further: Shape | None = None
    original: Callable[[Originals], Shape] | None = None
    of_dashboard: bool = False

    @property
    def plans_once(self) -> bool:
        return not any(word in self.name for word in ("list", "page", "count"))


Meter = Callable[[], float]


def clock_meter() -> float:
    """Milliseconds that pass."""
    return time.perf_counter() * 1_000


def cpu_meter() -> Meter:
    """Milliseconds of a processor that this process and its backend on this machine took."""
    account = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")

    def spent() -> float:
        backend_ns = int(account.read_text().split()[0])
        return time.process_time() * 1_000 + backend_ns / 1e6

    return spent


def measure(*, cpu: bool = False) -> bool:
    """Prints every reading's median milliseconds beside its rivals'; whether all held."""
    tenant = Tenant.objects.get(pk=LARGEST)
    meter = cpu_meter() if cpu else clock_meter
    unit = "ms of a processor" if cpu else "ms"
    print(
        f"\n{f'reading ({unit})':44} {'ours':>8} {'good':>8} {'further':>8} {MODELLED:>8} "
        f"{MIGRATED:>8} {'/good':>7} {'/further':>8}  bar"
    )
    held = True
    for reading in _readings(tenant):
        held &= _measure(tenant, reading, meter)
    with _targets(tenant):
        for reading in _with_targets(tenant):
            held &= _measure(tenant, reading, meter)
    for hour in HOURS:
        with clock.pretend(_latest(hour)):
            print(f"as if it were {clock.now():%H:%M} UTC")
            for reading in _readings(tenant):
                if reading.of_dashboard:
                    held &= _measure(tenant, replace(reading, original=None), meter)
    return held


def _latest(hour: float) -> datetime:
    """The last time that it was so many hours past midnight of UTC."""
    now = clock.now()
    moment = rollup.floor(now, rollup.DAY) + timedelta(hours=hour)
    return moment if moment <= now else moment - rollup.DAY


def _measure(tenant: Tenant, reading: Reading, meter: Meter) -> bool:
    ours, good, further, modelled, migrated = in_turn(tenant, reading, meter)
    assert ours is not None
    held, bar = True, ""
    if good is not None:
        held, bar = ours <= MOST_OF_GOOD * good, f"{MOST_OF_GOOD} good"
    if reading.of_dashboard and further is not None:
        held, bar = held and ours <= MOST_OF_FURTHER * further, f"{bar}, {MOST_OF_FURTHER} further"
    print(
        f"{reading.name:44} {ours:8.2f} {_figure(good)} {_figure(further)} {_figure(modelled)} "
        f"{_figure(migrated)} "
        f"{_figure(good and ours / good, 7)} {_figure(further and ours / further)}  "
        f"{bar}{'' if held else '  MISSED'}",
        flush=True,
    )
    return held


def _figure(value: float | None, width: int = 8) -> str:
    return f"{value:{width}.2f}" if value is not None else " " * width


def in_turn(tenant: Tenant, reading: Reading, meter: Meter) -> list[float | None]:
    """The median milliseconds of ours, good, further and the two originals, taking turns.

    A few turns before do not count. Each has a transaction of its own, by the role that sees the
    tenant, as a request has it; its ends are not counted.
    """
    now = clock.now()
    originals = [
        reading.original and reading.original(Originals(table, now))
        for table in (MODELLED, MIGRATED)
    ]
    rivals = [(shape, WARM_UP, ROUNDS) for shape in (reading.ours, reading.good, reading.further)]
    rivals += [(shape, ORIGINAL_WARM_UP, ORIGINAL_ROUNDS) for shape in originals]
    times: list[list[float]] = [[] for _ in rivals]
    for turn in range(WARM_UP + ROUNDS):
        for (shape, warm_up, rounds), taken in zip(rivals, times, strict=True):
            if shape is None or turn >= warm_up + rounds:
                continue
            with scope.tenant(tenant.pk, plan_once=shape is reading.ours and reading.plans_once):
                start = meter()
                shape()
                elapsed = meter() - start
            if turn >= warm_up:
                taken.append(elapsed)
    return [statistics.median(taken) if taken else None for taken in times]


def page(
    narrowing: Narrowing | None = None, *, ordering: str = "-created_at", place: Any = None
) -> Shape:
    """A page of twenty, as the endpoint answers it, and the one row that tells of a next."""

    def read() -> list[Any]:
        rows = reads.page(
            tenant=LARGEST,
            narrowing=narrowing or Narrowing(),
            ordering=ordering,
            size=21,
            place=place,
        )
        return [summary_of(row) for row in rows]

    return read


def _readings(tenant: Tenant) -> list[Reading]:
    rivals = Rivals(clock.now())
    week = trends.Granularity.WEEK
    active = Narrowing(topic="active")
    deep = {depth: _place(depth) for depth in (1_000, 50_000, 150_000)}
    return [
        Reading(
            "open list, first page",
            page(active),
            rivals.good_page(UNRESOLVED),
            rivals.further_page(UNRESOLVED),
            lambda original: original.page(UNRESOLVED),
        ),
        Reading(
            "all, first page",
            page(),
            rivals.good_page(),
            rivals.further_page(),
            lambda original: original.page(),
        ),
        Reading(
            "page at depth 1,000",
            page(place=Place(*deep[1_000], backward=False)),
            rivals.good_page(offset=1_000),
            rivals.further_page(beyond=deep[1_000]),
            lambda original: original.page(offset=1_000),
        ),
        Reading(
            "page at depth 50,000",
            page(place=Place(*deep[50_000], backward=False)),
            rivals.good_page(offset=50_000),
            rivals.further_page(beyond=deep[50_000]),
            lambda original: original.page(offset=50_000),
        ),
        Reading(
            "page at depth 150,000",
            page(place=Place(*deep[150_000], backward=False)),
            rivals.good_page(offset=150_000),
            rivals.further_page(beyond=deep[150_000]),
            lambda original: original.page(offset=150_000),
        ),
        Reading(
            "count of the open",
            lambda: reads.count(tenant=LARGEST, narrowing=active),
            rivals.good_count(UNRESOLVED),
            original=lambda original: original.count(UNRESOLVED),
        ),
        Reading(
            "count of all",
            lambda: reads.count(tenant=LARGEST, narrowing=Narrowing()),
            rivals.good_count(),
            original=lambda original: original.count(),
        ),
        Reading(
            "stats, 24 h",
            lambda: stats.of_tenant(tenant=tenant),
            rivals.good_stats(),
            rivals.further_stats(),
            lambda original: original.stats(),
            of_dashboard=True,
        ),
        *(
            Reading(
                f"metrics {days} d, with medians",
                lambda days=days: metrics.of_window(tenant=tenant, window_days=days),
                rivals.good_metrics(days),
                rivals.further_metrics(days),
                lambda original, days=days: original.metrics(days),
                of_dashboard=True,
            )
            for days in (30, 90)
        ),
        Reading(
            "trend by week, 90 d",
            lambda: trends.trend(tenant=tenant, window_days=90, granularity=week, tz=UTC),
            rivals.good_trend("week", "UTC"),
            rivals.further_trend(),
            lambda original: original.trend(),
            of_dashboard=True,
        ),
        Reading(
            "trend by day of Asia/Kolkata, 90 d",
            lambda: trends.trend(
                tenant=tenant,
                window_days=90,
                granularity=trends.Granularity.DAY,
                tz=ZoneInfo("Asia/Kolkata"),
            ),
            rivals.good_trend("day", "Asia/Kolkata"),
        ),
        Reading(
            "cost trend by week, 90 d",
            lambda: trends.cost_trend(tenant=tenant, window_days=90, granularity=week, tz=UTC),
            rivals.good_cost_trend(),
            rivals.further_cost_trend(),
            lambda original: original.cost_trend(),
            of_dashboard=True,
        ),
        Reading(
            "distribution, 90 d",
            lambda: metrics.distribution(tenant=tenant, window_days=90),
            rivals.good_distribution(),
            rivals.further_distribution(),
            lambda original: original.distribution(),
            of_dashboard=True,
        ),
        Reading(
            "cost impact, 90 d",
            lambda: metrics.cost_impact(tenant=tenant, baseline_days=90, limit=20),
            rivals.good_cost_impact(),
            rivals.further_cost_impact(),
            lambda original: original.cost_impact(),
            of_dashboard=True,
        ),
        *(
            Reading(
                f"recurrence {days} d",
                lambda days=days: recurrence.of_tenant(
                    tenant=tenant, baseline_days=days, threshold=3, limit=20
                ),
                rivals.good_recurrence(days),
                rivals.further_recurrence(days),
                lambda original, days=days: original.recurrence(days),
            )
            for days in (30, 90)
        ),
        *(
            Reading(
                f"category clusters {hours} h",
                lambda hours=hours: patterns.clusters(
                    tenant=LARGEST, since=rivals.ago(hours / 24), limit=10
                ),
                rivals.good_clusters(hours),
                original=lambda original, hours=hours: original.clusters(hours),
            )
            for hours in (24, 168)
        ),
        *(
            Reading(
                f"patterns of every kind {hours} h",
                lambda hours=hours: patterns.detect(tenant=tenant, window_hours=hours),
                rivals.good_patterns(hours),
            )
            for hours in (24, 168)
        ),
        *(
            Reading(f"list by {ordering}, first page", page(ordering=ordering))
            for ordering in ("-resolved_at", "-last_seen_at", "-severity", "-cost_delta_cents")
        ),
        *(
            Reading(f"search {words!r}, first page", page(Narrowing(search=words)))
            for words in (
                "504 c4ca4238a0b923820dcc509a6f75849b",
                "restarted worker 13",
                "upstream 7",
                "upstream",
            )
        ),
    ]


def _with_targets(tenant: Tenant) -> list[Reading]:
    rivals = Rivals(clock.now())
    return [
        Reading(
            f"metrics {days} d, and service levels",
            lambda days=days: metrics.of_window(tenant=tenant, window_days=days),
            rivals.good_levels(days),
        )
        for days in (30, 90)
    ]


@contextmanager
def _targets(tenant: Tenant) -> Iterator[None]:
    """Targets for every severity, for as long as they are measured."""
    with transaction.atomic():
        for severity in Severity:
            SeverityTarget.objects.create(
                tenant=tenant,
                severity=severity,
                acknowledge_seconds=300 * (5 - severity),
                resolve_seconds=7200 * (5 - severity),
            )
        yield
        transaction.set_rollback(True)


def _place(depth: int) -> tuple[Any, Any]:
    ((started_at, id_),) = run(
        "SELECT started_at, id FROM good WHERE tenant_id = %s "
        "ORDER BY started_at DESC, id DESC OFFSET %s LIMIT 1",
        [LARGEST, depth],
    )
    return started_at, id_
