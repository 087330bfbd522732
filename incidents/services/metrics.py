"""Replaces the metrics of the incidents facade: how soon, how many, how bad, at what cost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import CauseType, ResolutionMethod, Severity, Status
from incidents.models.rollup import SLOT_DIGITS, SLOT_EDGES
from incidents.services import rollup

_ATTEMPTS: Final = 5
_ACKNOWLEDGE: Final = "acknowledge"
_RESOLVE: Final = "resolve"
_KINDS: Final = (_ACKNOWLEDGE, _RESOLVE)
_EXACT: Final = Context(prec=(len(SLOT_EDGES) + 1) * SLOT_DIGITS)
_FAR: Final = 2**63 - 1


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


@dataclass(slots=True)
class _Sums:
    """The sums of one severity, by kind where there are two.

    Of whole days a histogram says how long things took, of the day that the window cuts
    ``times_us`` does: the times as they are.
    """

    incidents: int = 0
    open: int = 0
    acknowledged: int = 0
    count: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_KINDS, 0))
    total_us: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_KINDS, 0))
    histogram: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(_KINDS, Decimal(0)))
    times_us: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})


class _Spread:
    """How many times of a kind are in each slot, over some sums together."""

    def __init__(self, sums: Iterable[_Sums], kind: str) -> None:
        histogram = Decimal(0)
        self._times: list[int] = []
        for one in sums:
            # Numbers of thousands of digits are added in an instant, and taken apart but once.
            histogram = _EXACT.add(histogram, one.histogram[kind])
            self._times += one.times_us[kind]
        self._times.sort()
        counts = [0] * (len(SLOT_EDGES) + 1)
        for slot, count in rollup.slots(histogram).items():
            counts[slot] = count
        self._before = [0, *accumulate(counts)]
        self.total = self.before(len(counts))

    def before(self, slot: int) -> int:
        """How many are in the slots before this one."""
        if slot > len(SLOT_EDGES):
            return self._before[-1] + len(self._times)
        sooner = bisect_left(self._times, SLOT_EDGES[slot - 1]) if slot else 0
        return self._before[slot] + sooner

    def within(self, slot: int) -> int:
        return self.before(slot + 1) - self.before(slot)

    def slot_of_rank(self, rank: int) -> int:
        """The slot of the time that so many come before."""
        return bisect_right(range(1, len(self._before)), rank, key=self.before)


@dataclass(frozen=True, slots=True)
class _Question:
    """About the incidents whose time is in some slots: how many met a target, or the middle."""

    kind: str
    severity: int | None
    low: int | None
    high: int | None
    expected: int
    target_us: int | None = None
    first: int = 0


class _Moved(Exception):
    """The incidents changed between two statements."""


def of_window(*, tenant: Tenant, window_days: int) -> Metrics:
    """The metrics of the last days.

    Counts and means come from the sums. Those also hold, as histograms, how many took about how
    long: they tell in which narrow range a median lies or a target cuts, and of that range alone
    the exact times are read. Every figure is exact.
    """
    now = clock.now()
    since = now - timedelta(days=window_days)
    for attempt in range(_ATTEMPTS):
        sums, targets, oldest = _read(tenant.pk, since)
        spreads = {
            (severity, kind): _Spread([sums[severity]], kind)
            for severity, of_severity in targets.items()
            for kind, seconds in of_severity.items()
            if seconds is not None
        }
        questions = _questions(sums, targets, spreads)
        try:
            answers = _ask(tenant.pk, since, questions, strict=attempt + 1 < _ATTEMPTS)
        except _Moved:
            continue
        break
    waiting = _waiting(tenant.pk, since, now, targets) if targets else {}
    every = sums.values()
    return Metrics(
        window_days=window_days,
        since=since,
        total=sum(one.incidents for one in every),
        by_status={
            Status.OPEN.value: sum(one.open for one in every),
            Status.ACKNOWLEDGED.value: sum(one.acknowledged for one in every),
            Status.RESOLVED.value: sum(one.count[_RESOLVE] for one in every),
        },
        by_severity={severity.label: sums[severity].incidents for severity in Severity},
        time_to_acknowledge_ms=_times(every, _ACKNOWLEDGE, answers),
        time_to_resolve_ms=_times(every, _RESOLVE, answers),
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
                    for kind in (_ACKNOWLEDGE, _RESOLVE)
                ),
            )
            for severity in reversed(Severity)
        ],
        oldest_unresolved=(
            None if oldest is None else Oldest(oldest, milliseconds(_microseconds(now - oldest)))
        ),
    )


_SUMS: Final = (
    "incidents",
    "open",
    "acknowledged",
    *ResolutionMethod.values,
    "acknowledge_count",
    "acknowledge_us",
    "resolve_us",
)
_SLOTS: Final = ("acknowledge_slots", "resolve_slots")

# Beside the sums, so that there is one statement less: in a row without a severity the targets
# (the severity, the seconds to acknowledge and to resolve, for each in turn), and when the oldest
# unresolved incident started.
_BESIDE: Final = f"""
    SELECT NULL::smallint, {", ".join(["0"] * len(_SUMS))}, 0, 0, (
        SELECT array_agg(told ORDER BY severity, place)::bigint[]
        FROM incidents_severitytarget, unnest(
            ARRAY[severity, acknowledge_seconds, resolve_seconds]
        ) WITH ORDINALITY AS t(told, place)
        WHERE tenant_id = %s
    ), NULL::bigint[], (
        SELECT started_at FROM incidents_incident
        WHERE tenant_id = %s AND status <> '{Status.RESOLVED}' ORDER BY started_at LIMIT 1
    )
"""  # noqa: S608 - only our own constants are interpolated

Targets = dict[int, dict[str, int | None]]


def _read(tenant: str, since: datetime) -> tuple[dict[int, _Sums], Targets, datetime | None]:
    """The sums and the targets in seconds, by severity, and when the oldest unresolved began."""
    counted, parameters = rollup.source(
        rollup.DAYS, ("severity", *_SUMS, *_SLOTS), tenant=tenant, since=since, parts=False
    )
    # Of the day that the window cuts, the times come as they are: to add them up as histograms
    # would cost the database more than all the rest.
    cut, more = rollup.source(
        rollup.DAYS,
        ("severity", *_SUMS, "times_to_acknowledge", "times_to_resolve"),
        tenant=tenant,
        since=since,
        wholes=False,
    )
    sum_up = ", ".join(
        # Counts come as integers, which are read sooner; a sum of times may be beyond them.
        f"sum({name})::{'numeric' if name.endswith('_us') else 'bigint'} AS {name}"
        for name in _SUMS
    )
    rows = rollup.read(
        f"SELECT severity, {sum_up}, sum(acknowledge_slots), sum(resolve_slots), "  # noqa: S608
        "NULL::bigint[], NULL::bigint[], NULL::timestamptz "
        f"FROM ({counted}) s GROUP BY severity UNION ALL "
        f"SELECT severity, {sum_up}, 0, 0, "
        "array_agg(times_to_acknowledge) FILTER (WHERE times_to_acknowledge IS NOT NULL), "
        "array_agg(times_to_resolve) FILTER (WHERE times_to_resolve IS NOT NULL), NULL "
        f"FROM ({cut}) s GROUP BY severity UNION ALL {_BESIDE}",
        [*parameters, *more, tenant, tenant],
    )
    sums = {int(severity): _Sums() for severity in Severity}
    targets: Targets = {}
    oldest = None
    for severity, *values in rows:
        *numbers, ack_slots, slots, ack_times, times, started_at = values
        if severity is None:
            told = iter(ack_times or ())
            targets = {
                of: {_ACKNOWLEDGE: acknowledge, _RESOLVE: resolve}
                for of, acknowledge, resolve in zip(told, told, told, strict=True)
            }
            oldest = started_at
            continue
        found = dict(zip(_SUMS, numbers, strict=True))
        one = sums[severity]
        one.incidents += int(found["incidents"])
        one.open += int(found["open"])
        one.acknowledged += int(found["acknowledged"])
        one.count[_ACKNOWLEDGE] += int(found["acknowledge_count"])
        one.count[_RESOLVE] += int(sum(found[method] for method in ResolutionMethod.values))
        one.total_us[_ACKNOWLEDGE] += int(found["acknowledge_us"])
        one.total_us[_RESOLVE] += int(found["resolve_us"])
        for kind, histogram, us in (
            (_ACKNOWLEDGE, ack_slots, ack_times),
            (_RESOLVE, slots, times),
        ):
            one.histogram[kind] = _EXACT.add(one.histogram[kind], histogram)
            one.times_us[kind] += us or ()
    return sums, targets, oldest


def _questions(
    sums: Mapping[int, _Sums], targets: Targets, spreads: Mapping[tuple[int, str], _Spread]
) -> list[_Question]:
    questions = []
    for kind in _KINDS:
        if (middle := _middle(sums.values(), kind)) is not None:
            questions.append(middle)
        for severity, of_severity in targets.items():
            seconds = of_severity[kind]
            if seconds is None:
                continue
            slot = rollup.slot_of(seconds * 1_000_000)
            if expected := spreads[severity, kind].within(slot):
                low, high = rollup.slot_range(slot)
                questions.append(
                    _Question(kind, severity, low, high, expected, target_us=seconds * 1_000_000)
                )
    return questions


def _middle(every: Iterable[_Sums], kind: str) -> _Question | None:
    """Which slots hold the middle one, or two, of all times."""
    spread = _Spread(every, kind)
    if not spread.total:
        return None
    lower, upper = (spread.total - 1) // 2, spread.total // 2
    first, last = spread.slot_of_rank(lower), spread.slot_of_rank(upper)
    before = spread.before(first)
    return _Question(
        kind,
        None,
        rollup.slot_range(first)[0],
        rollup.slot_range(last)[1],
        spread.before(last + 1) - before,
        first=lower - before,
    )


def _times_in_slots(kind: str) -> str:
    return f"""
        SELECT q.place, t.* FROM unnest(
            %s::int[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[]
        ) AS q(place, severity, low, high, target, first) CROSS JOIN LATERAL (
            SELECT count(*), count(*) FILTER (WHERE i.{kind}_us <= q.target),
                (array_agg(i.{kind}_us ORDER BY i.{kind}_us)
                    FILTER (WHERE q.target IS NULL))[q.first + 1 : q.first + 2]
            FROM incidents_incident i
            WHERE i.tenant_id = %s AND i.{kind}_us >= q.low AND i.{kind}_us < q.high
                AND i.started_at >= %s AND (q.severity IS NULL OR i.severity = q.severity)
        ) t
    """  # noqa: S608 - only our own names are interpolated


_TIMES: Final = f"{_times_in_slots(_ACKNOWLEDGE)} UNION ALL {_times_in_slots(_RESOLVE)}"


def _middles_of(kind: str) -> str:
    return f"""
        SELECT array_agg(us) FROM (
            SELECT i.{kind}_us AS us FROM incidents_incident i
            WHERE i.tenant_id = %s AND i.{kind}_us >= %s AND i.{kind}_us < %s
                AND i.started_at >= %s
            ORDER BY i.{kind}_us
        ) times
    """  # noqa: S608 - only our own names are interpolated


# The times around both middles, where nothing else is asked.
_MIDDLES: Final = f"SELECT ({_middles_of(_ACKNOWLEDGE)}), ({_middles_of(_RESOLVE)})"

Answers = dict[tuple[str, int | None], tuple[int, list[int]]]


def _ask(tenant: str, since: datetime, questions: list[_Question], *, strict: bool) -> Answers:
    """How many in the slots met the target, and the middle times, by kind and severity.

    With ``strict``, _Moved if there are not as many as the sums just said.
    """
    if not questions:
        return {}
    if all(question.target_us is None for question in questions):
        return _ask_middles(tenant, since, questions, strict=strict)
    parameters: list[Any] = []
    for kind in _KINDS:
        places = [place for place, question in enumerate(questions) if question.kind == kind]
        asked = [questions[place] for place in places]
        parameters += [
            places,
            [question.severity for question in asked],
            [_bounds(question)[0] for question in asked],
            [_bounds(question)[1] for question in asked],
            [question.target_us for question in asked],
            [question.first for question in asked],
            tenant,
            since,
        ]
    answers: Answers = {}
    for place, count, met, middle in rollup.read(_TIMES, parameters):
        question = questions[place]
        if strict and count != question.expected:
            raise _Moved
        answers[question.kind, question.severity] = (met, middle or [])
    return answers


def _ask_middles(
    tenant: str, since: datetime, questions: list[_Question], *, strict: bool
) -> Answers:
    asked = {question.kind: question for question in questions}
    parameters: list[Any] = []
    for kind in _KINDS:
        low, high = _FAR, _FAR  # nothing
        if kind in asked:
            low, high = _bounds(asked[kind])
        parameters += [tenant, low, high, since]
    answers: Answers = {}
    ((*found,),) = rollup.read(_MIDDLES, parameters)
    for kind, times in zip(_KINDS, found, strict=True):
        if kind not in asked:
            continue
        times = times or []
        if strict and len(times) != asked[kind].expected:
            raise _Moved
        first = asked[kind].first
        answers[kind, None] = (0, times[first : first + 2])
    return answers


def _bounds(question: _Question) -> tuple[int, int]:
    return (
        -_FAR if question.low is None else question.low,
        _FAR if question.high is None else question.high,
    )


def _times(every: Iterable[_Sums], kind: str, answers: Answers) -> Times:
    every = list(every)
    count = sum(one.count[kind] for one in every)
    if not count:
        return Times(0, None, None)
    mean = Fraction(sum(one.total_us[kind] for one in every), count)
    middle = answers[kind, None][1][: 2 - count % 2]
    median = milliseconds(Fraction(sum(middle), len(middle))) if middle else None
    return Times(count, milliseconds(mean), median)


def _service_level(
    sums: _Sums,
    severity: int,
    kind: str,
    seconds: int | None,
    spread: _Spread | None,
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


_WAITING: Final = f"""
    SELECT i.severity,
        count(*) FILTER (WHERE i.status = '{Status.OPEN}' AND i.created_at < t.acknowledge_by),
        count(*) FILTER (WHERE i.status = '{Status.OPEN}' AND i.created_at >= t.acknowledge_by),
        count(*) FILTER (WHERE i.created_at < t.resolve_by),
        count(*) FILTER (WHERE i.created_at >= t.resolve_by)
    FROM unnest(%s::smallint[], %s::timestamptz[], %s::timestamptz[])
        AS t(severity, acknowledge_by, resolve_by)
    JOIN incidents_incident i ON i.severity = t.severity
    WHERE i.tenant_id = %s AND i.started_at >= %s AND i.status <> '{Status.RESOLVED}'
    GROUP BY i.severity
"""  # noqa: S608 - only our own constants are interpolated


def _waiting(
    tenant: str, since: datetime, now: datetime, targets: Targets
) -> dict[tuple[int, str], tuple[int, int]]:
    """Of the incidents that still wait for something: how many are overdue, how many are not."""

    def latest(kind: str) -> list[datetime | None]:
        return [
            None if (seconds := of_severity[kind]) is None else now - timedelta(seconds=seconds)
            for of_severity in targets.values()
        ]

    rows = rollup.read(
        _WAITING, [list(targets), latest(_ACKNOWLEDGE), latest(_RESOLVE), tenant, since]
    )
    waiting = {}
    for severity, ack_overdue, ack_pending, overdue, pending in rows:
        waiting[severity, _ACKNOWLEDGE] = (ack_overdue, ack_pending)
        waiting[severity, _RESOLVE] = (overdue, pending)
    return waiting


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many incidents of a window there are of each kind."""

    window_days: int
    since: datetime
    total: int
    by_severity: dict[str, int]
    by_status: dict[str, int]
    by_category: dict[str, int]
    by_cause_type: dict[str, int]
    by_resolution_method: dict[str, int]


_DISTRIBUTED: Final = (
    "incidents",
    "open",
    "acknowledged",
    *ResolutionMethod.values,
    *CauseType.values,
)


def distribution(*, tenant: Tenant, window_days: int) -> Distribution:
    """How the incidents of the last days are spread; categories by number, then by name."""
    since = clock.now() - timedelta(days=window_days)
    by_day, parameters = rollup.source(
        rollup.DAYS, ("severity", *_DISTRIBUTED), tenant=tenant.pk, since=since
    )
    by_category, more = rollup.source(
        rollup.CATEGORIES, ("category", "incidents"), tenant=tenant.pk, since=since
    )
    nothing = ", ".join(["0"] * (len(_DISTRIBUTED) - 1))
    rows = rollup.read(
        f"SELECT severity, NULL, {', '.join(f'sum({name})::bigint' for name in _DISTRIBUTED)} "  # noqa: S608
        f"FROM ({by_day}) d GROUP BY severity UNION ALL "
        f"SELECT NULL, category, sum(incidents)::bigint, {nothing} "
        f"FROM ({by_category}) c GROUP BY category",
        [*parameters, *more],
    )
    severities = {severity.label: 0 for severity in Severity}
    sums = dict.fromkeys(_DISTRIBUTED, 0)
    categories: dict[str, int] = {}
    for severity, category, *counts in rows:
        if severity is None:
            categories[category] = counts[0]
            continue
        severities[Severity(severity).label] = counts[0]
        for name, count in zip(_DISTRIBUTED, counts, strict=True):
            sums[name] += count
    methods = {method: sums[method] for method in ResolutionMethod.values}
    return Distribution(
        window_days=window_days,
        since=since,
        total=sums["incidents"],
        by_severity=severities,
        by_status={
            Status.OPEN.value: sums["open"],
            Status.ACKNOWLEDGED.value: sums["acknowledged"],
            Status.RESOLVED.value: sum(methods.values()),
        },
        by_category={
            category: count
            for category, count in sorted(categories.items(), key=lambda item: (-item[1], item[0]))
            if count
        },
        by_cause_type={cause: sums[cause] for cause in CauseType.values},
        by_resolution_method=methods,
    )


@dataclass(frozen=True, slots=True)
class CategoryCost:
    """What the incidents of a category cost, in cents; the mean is per incident."""

    category: str
    incidents: int
    calls_affected: int
    cost_delta_cents: Decimal
    mean_cost_delta_cents: Decimal


@dataclass(frozen=True, slots=True)
class CostImpact:
    """The dearest categories of a baseline, the dearest first, and what all of them cost."""

    baseline_days: int
    limit: int
    since: datetime
    incidents: int
    cost_delta_cents: Decimal | None
    categories: list[CategoryCost]


def cost_impact(*, tenant: Tenant, baseline_days: int, limit: int) -> CostImpact:
    """What the incidents of the last days cost, by category."""
    since = clock.now() - timedelta(days=baseline_days)
    relation, parameters = rollup.source(
        rollup.CATEGORIES,
        ("category", "incidents", "calls", "cost"),
        tenant=tenant.pk,
        since=since,
    )
    rows = rollup.read(
        f"SELECT category, sum(incidents)::bigint AS incidents, sum(calls)::bigint, sum(cost) "  # noqa: S608
        f"FROM ({relation} UNION ALL {LIVE_VOLUME}) c GROUP BY category "
        "HAVING sum(incidents) > 0 ORDER BY sum(cost) DESC, sum(incidents) DESC, category",
        [*parameters, tenant.pk, since],
        plan_once=False,
    )
    return CostImpact(
        baseline_days=baseline_days,
        limit=limit,
        since=since,
        incidents=sum(row[1] for row in rows),
        cost_delta_cents=sum((row[3] for row in rows), Decimal(0)) if rows else None,
        categories=[
            CategoryCost(category, incidents, calls, cost, mean_cents(cost, incidents))
            for category, incidents, calls, cost in rows[:limit]
        ],
    )


# The calls and costs of what is not resolved yet, which the sums leave out.
LIVE_VOLUME: Final = f"""
    SELECT i.started_at, COALESCE(i.category, 'uncategorized'), 0,
        i.calls_affected, i.cost_delta_cents
    FROM incidents_incident i
    WHERE i.tenant_id = %s AND i.started_at >= %s AND i.status <> '{Status.RESOLVED}'
"""  # noqa: S608 - only our own constants are interpolated


def milliseconds(us: Fraction) -> float:
    """Microseconds as milliseconds with three decimals, rounded half to even."""
    return float(round(us / 1_000, 3))


def mean_cents(cost: Decimal, count: int) -> Decimal:
    """The mean of so many costs, in cents with four decimals, rounded half to even."""
    ten_thousandths = round(Fraction(cost) * 10_000 / count)
    return Decimal(ten_thousandths).scaleb(-4)


def _microseconds(delta: timedelta) -> Fraction:
    return Fraction(delta // timedelta(microseconds=1))
