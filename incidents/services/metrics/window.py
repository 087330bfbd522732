"""How soon incidents of a window were handled, how many there are, and how many kept a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import Severity, Status
from incidents.services import rollup
from incidents.services.metrics.exact import Answers, Moved, ask, read_waiting
from incidents.services.metrics.spread import Spread, questions_of
from incidents.services.metrics.sums import ACKNOWLEDGE, RESOLVE, Sums, read_sums
from incidents.services.metrics.units import microseconds, milliseconds

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in milliseconds; null where it never happened."""

    count: int
    mean: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """How many incidents of a severity kept a target, missed it, or still have time to keep it.

    Whatever is not done yet and past the target is breached. An incident that was resolved
    without ever being acknowledged counts for resolving only. Null without a target, and without
    an incident that it could be told of.
    """

    target_seconds: int | None = None
    met: int | None = None
    breached: int | None = None
    pending: int | None = None


@dataclass(frozen=True, slots=True)
class ServiceLevels:
    severity: str
    acknowledge: ServiceLevel
    resolve: ServiceLevel


@dataclass(frozen=True, slots=True)
class Oldest:
    """The unresolved incident that started first, whenever that was; its age in milliseconds."""

    started_at: datetime
    age_ms: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """The readings of a window: of the incidents that started at or after ``since``."""

    window_days: int
    since: datetime
    total: int
    by_status: dict[str, int]
    by_severity: dict[str, int]
    time_to_acknowledge_ms: Times
    time_to_resolve_ms: Times
    service_levels: list[ServiceLevels]
    oldest_unresolved: Oldest | None


def of_window(*, tenant: Tenant, window_days: int) -> Metrics:
    """The metrics of the last days.

    Counts and means come from the sums. Those also hold, as histograms, how many took about how
    long: they tell in which narrow range a median lies or a target cuts, and of that range alone
    the exact times are read. Every figure is exact.
    """
    now = clock.now()
    since = now - timedelta(days=window_days)
    for attempt in range(_ATTEMPTS):
        sums, targets, oldest = read_sums(tenant.pk, since)
        spreads = {
            (severity, kind): Spread([sums[severity]], kind)
            for severity, of_severity in targets.items()
            for kind, seconds in of_severity.items()
            if seconds is not None
        }
        questions = questions_of(sums, targets, spreads)
        try:
            answers = ask(tenant.pk, since, questions, strict=attempt + 1 < _ATTEMPTS)
        except Moved:
            continue
        break
    waiting = read_waiting(tenant.pk, since, now, targets) if targets else {}
    every = sums.values()
    return Metrics(
        window_days=window_days,
        since=since,
        total=sum(one.incidents for one in every),
        by_status={
            Status.OPEN.value: sum(one.open for one in every),
            Status.ACKNOWLEDGED.value: sum(one.acknowledged for one in every),
            Status.RESOLVED.value: sum(one.count[RESOLVE] for one in every),
        },
        by_severity={severity.label: sums[severity].incidents for severity in Severity},
        time_to_acknowledge_ms=_times(every, ACKNOWLEDGE, answers),
        time_to_resolve_ms=_times(every, RESOLVE, answers),
        service_levels=[
            ServiceLevels(
                severity.label,
                *(
                    _service_level(
                        sums[severity],
                        severity,
                        kind,
                        targets.get(severity, {}).get(kind),
                        spreads.get((severity, kind)),
                        answers,
                        waiting,
                    )
                    for kind in (ACKNOWLEDGE, RESOLVE)
                ),
            )
            for severity in reversed(Severity)
        ],
        oldest_unresolved=(
            None if oldest is None else Oldest(oldest, milliseconds(microseconds(now - oldest)))
        ),
    )


def _times(every: Iterable[Sums], kind: str, answers: Answers) -> Times:
    every = list(every)
    count = sum(one.count[kind] for one in every)
    if not count:
        return Times(0, None, None)
    mean = Fraction(sum(one.total_us[kind] for one in every), count)
    middle = answers[kind, None][1][: 2 - count % 2]
    median = milliseconds(Fraction(sum(middle), len(middle))) if middle else None
    return Times(count, milliseconds(mean), median)


def _service_level(
    sums: Sums,
    severity: int,
    kind: str,
    seconds: int | None,
    spread: Spread | None,
    answers: Answers,
    waiting: Mapping[tuple[int, str], tuple[int, int]],
) -> ServiceLevel:
    overdue, pending = waiting.get((severity, kind), (0, 0))
    done = sums.count[kind]
    if seconds is None or spread is None or not done + overdue + pending:
        return ServiceLevel(seconds)
    met = spread.before(rollup.slot_of(seconds * 1_000_000))
    met += answers.get((kind, severity), (0, []))[0]
    return ServiceLevel(seconds, met, done - met + overdue, pending)
