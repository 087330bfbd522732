"""One reading over several tenants, or all: what burns, how it went, what it cost.

Sums come from the rollup, by whole days of UTC; what still burns is read as it is. Every query's
cost goes with the days and the tenants, or with what is unresolved, never with all incidents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from config import clock
from config.database.statements import run
from config.tenancy.models import Tenant
from incidents.enums import ResolutionMethod, Severity, Status
from incidents.models import Incident, SeverityTarget
from incidents.services import patterns, rollup

OLDEST: Final = 5
CATEGORIES: Final = 8
# Patterns are looked for in a tenant at a time, and only in so many.
SEARCHED: Final = 3


@dataclass(frozen=True, slots=True)
class Burning:
    """The unresolved incidents of a severity."""

    severity: Severity
    open: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Day:
    """The incidents that started on a day of UTC: how many of each severity, their calls."""

    day: date
    by_severity: dict[Severity, int]
    calls: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon incidents of a severity were handled: means in seconds, null where none was.

    The targets are in seconds too; null where there is none, or where several tenants' differ.
    """

    severity: Severity
    acknowledged: int
    acknowledge_seconds: float | None
    acknowledge_target: int | None
    resolved: int
    resolve_seconds: float | None
    resolve_target: int | None


@dataclass(frozen=True, slots=True)
class Category:
    category: str
    incidents: int
    calls: int
    cost_cents: Decimal


@dataclass(frozen=True, slots=True)
class _Volume:
    """A category's incidents that started on a day."""

    day: date
    category: str
    incidents: int
    calls: int
    cost_cents: Decimal


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern, whose, and from when on the incidents started that it counts."""

    tenant: str
    pattern: patterns.Pattern
    since: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at a glance, of the incidents that started from the first day on.

    ``burning`` counts whatever is unresolved, however old; ``oldest`` are the open ones that
    wait longest for somebody; ``searched`` is where patterns were looked for: the tenants in
    which most burns.
    """

    days: list[Day]
    burning: list[Burning]
    oldest: list[Incident]
    pace: list[Pace]
    categories: list[Category]
    incidents: int
    calls: int
    cost_cents: Decimal | None
    patterns: list[Found]
    searched: list[str]


def of_tenants(*, tenants: Sequence[str] | None, days: int = 30) -> Overview:
    """The overview of these tenants (None: all) over today and the days before it."""
    now = clock.now()
    begin = rollup.floor(now, rollup.DAY) - timedelta(days=days - 1)
    volume = _volume(tenants, begin)
    categories = _categories(volume)
    searched = _busiest(tenants)
    return Overview(
        days=_days(tenants, begin, days, volume),
        burning=_burning(tenants),
        oldest=_oldest(tenants),
        pace=_pace(tenants, begin),
        categories=categories[:CATEGORIES],
        incidents=sum(one.incidents for one in categories),
        calls=sum(one.calls for one in categories),
        cost_cents=sum((one.cost_cents for one in categories), Decimal(0)) if categories else None,
        patterns=_patterns(searched),
        searched=[tenant.pk for tenant in searched],
    )


def _patterns(searched: Sequence[Tenant]) -> list[Found]:
    found = []
    for tenant in searched:
        detected = patterns.detect(tenant=tenant, limit=5)
        found += [Found(tenant.pk, one, detected.since_of(one)) for one in detected.patterns]
    return found


def _whose(tenants: Sequence[str] | None) -> tuple[str, list[Any]]:
    return ("true", []) if tenants is None else ("tenant_id = ANY(%s)", [list(tenants)])


def _sums(
    table: rollup.Rollup,
    keys: Sequence[str],
    measures: Sequence[str],
    tenants: Sequence[str] | None,
    begin: datetime | None,
    also: str = "",
    also_parameters: Iterable[Any] = (),
) -> list[tuple[Any, ...]]:
    """Sums of a rollup over some tenants, with what is not folded yet, by some of its keys."""
    whose, parameters = _whose(tenants)
    since, changed = "true", "true"
    when: list[Any] = []
    if begin is not None:
        since, changed = f"{table.time} >= %s", "started_at >= %s"
        when = [begin.date() if table.unit == rollup.DAY else begin]
    columns = [*keys, *measures]
    expressions = table.keys | table.measures
    of_change = ", ".join(f"{expressions[name]} AS {name}" for name in columns)
    sums = ", ".join(f"sum({name})" for name in measures)
    places = ", ".join(str(place + 1) for place in range(len(keys)))
    rows: list[tuple[Any, ...]] = run(
        f"SELECT {', '.join(keys)}, {sums} FROM ("  # noqa: S608 - our own names
        f"SELECT {', '.join(columns)} FROM {table.table} WHERE {whose} AND {since} UNION ALL "
        f"SELECT {of_change} FROM incidents_rollupchange WHERE {whose} AND {changed} {also}"
        f") s GROUP BY {places}",
        [
            *parameters,
            *when,
            *parameters,
            *([begin] if begin is not None else []),
            *also_parameters,
        ],
    )
    return rows


def _burning(tenants: Sequence[str] | None) -> list[Burning]:
    rows = _sums(rollup.DAYS, ["severity"], ["open", "acknowledged"], tenants, None)
    found = {severity: (int(open_), int(acknowledged)) for severity, open_, acknowledged in rows}
    return [Burning(severity, *found.get(int(severity), (0, 0))) for severity in reversed(Severity)]


def _days(
    tenants: Sequence[str] | None, begin: datetime, days: int, volume: Sequence[_Volume]
) -> list[Day]:
    counts: dict[tuple[date, int], int] = {
        (day, severity): int(incidents)
        for day, severity, incidents in _sums(
            rollup.DAYS, ["day", "severity"], ["incidents"], tenants, begin
        )
    }
    calls: Counter[date] = Counter()
    for one in volume:
        calls[one.day] += one.calls
    every = [(begin + timedelta(days=place)).date() for place in range(days)]
    return [
        Day(day, {one: counts.get((day, int(one)), 0) for one in Severity}, calls[day])
        for day in every
    ]


_OLDEST: Final = f"""
    SELECT oldest.id FROM unnest(%s::text[]) AS t(id) CROSS JOIN LATERAL (
        SELECT i.id, i.started_at FROM incidents_incident i
        WHERE i.tenant_id = t.id AND i.status = '{Status.OPEN}'
            AND i.status <> '{Status.RESOLVED}'
        ORDER BY i.started_at LIMIT %s
    ) oldest ORDER BY oldest.started_at, oldest.id LIMIT %s
"""  # noqa: S608 - only our own constants are interpolated


def _oldest(tenants: Sequence[str] | None) -> list[Incident]:
    """The oldest of each tenant lead an index of its own; the oldest of all are among them."""
    whose = list(Tenant.objects.values_list("pk", flat=True)) if tenants is None else list(tenants)
    ids = [id_ for (id_,) in run(_OLDEST, [whose, OLDEST, OLDEST])]
    found = Incident.objects.in_bulk(ids)
    return [found[id_] for id_ in ids if id_ in found]


def _busiest(tenants: Sequence[str] | None) -> list[Tenant]:
    rows = _open(tenants)
    found = Tenant.objects.in_bulk([tenant for tenant, _ in rows])
    return [found[tenant] for tenant, _ in rows if tenant in found]


def _open(tenants: Sequence[str] | None) -> list[tuple[str, int]]:
    whose, parameters = _whose(tenants)
    rows: list[tuple[str, int]] = run(
        "SELECT tenant_id, sum(open)::bigint FROM ("  # noqa: S608 - our own names
        f"SELECT tenant_id, open FROM incidents_rollupday WHERE {whose} UNION ALL "
        f"SELECT tenant_id, {rollup.DAYS.measures['open']} FROM incidents_rollupchange "
        f"WHERE {whose}) s GROUP BY 1 HAVING sum(open) > 0 ORDER BY 2 DESC, 1 LIMIT %s",
        [*parameters, *parameters, SEARCHED],
    )
    return rows


def _pace(tenants: Sequence[str] | None, begin: datetime) -> list[Pace]:
    methods = list(ResolutionMethod.values)
    rows = _sums(
        rollup.DAYS,
        ["severity"],
        ["acknowledge_count", "acknowledge_us", "resolve_us", *methods],
        tenants,
        begin,
    )
    found = {
        severity: (int(count), int(us), int(resolve_us), sum(int(one) for one in resolved))
        for severity, count, us, resolve_us, *resolved in rows
    }
    targets = _targets(tenants)
    pace = []
    for severity in reversed(Severity):
        count, us, resolve_us, resolved = found.get(int(severity), (0, 0, 0, 0))
        acknowledge_by, resolve_by = targets.get(int(severity), (None, None))
        pace.append(
            Pace(
                severity,
                count,
                us / count / 1e6 if count else None,
                acknowledge_by,
                resolved,
                resolve_us / resolved / 1e6 if resolved else None,
                resolve_by,
            )
        )
    return pace


def _targets(tenants: Sequence[str] | None) -> dict[int, tuple[int | None, int | None]]:
    """The targets by severity, where all of the tenants have the same one."""
    wanted = SeverityTarget.objects.all()
    number = Tenant.objects.count() if tenants is None else len(tenants)
    if tenants is not None:
        wanted = wanted.filter(tenant_id__in=tenants)
    found: dict[int, list[tuple[int | None, int | None]]] = {}
    for severity, acknowledge, resolve in wanted.values_list(
        "severity", "acknowledge_seconds", "resolve_seconds"
    ):
        found.setdefault(severity, []).append((acknowledge, resolve))
    targets: dict[int, tuple[int | None, int | None]] = {}
    for severity, pairs in found.items():
        acknowledge_s = {pair[0] for pair in pairs}
        resolve_s = {pair[1] for pair in pairs}
        whole = len(pairs) == number
        targets[severity] = (
            acknowledge_s.pop() if whole and len(acknowledge_s) == 1 else None,
            resolve_s.pop() if whole and len(resolve_s) == 1 else None,
        )
    return targets


def _volume(tenants: Sequence[str] | None, begin: datetime) -> list[_Volume]:
    whose, parameters = _whose(tenants)
    # The sums hold the calls and costs of resolved incidents only; those of the others grow.
    live = (
        "UNION ALL SELECT (started_at AT TIME ZONE 'UTC')::date, "  # noqa: S608 - our own names
        "coalesce(category, 'uncategorized'), 0, calls_affected, cost_delta_cents "
        f"FROM incidents_incident WHERE {whose} AND started_at >= %s "
        f"AND status <> '{Status.RESOLVED}'"
    )
    rows = _sums(
        rollup.CATEGORIES,
        ["day", "category"],
        ["incidents", "calls", "cost"],
        tenants,
        begin,
        live,
        [*parameters, begin],
    )
    return [
        _Volume(day, category, int(incidents), int(calls), Decimal(cost))
        for day, category, incidents, calls, cost in rows
    ]


def _categories(volume: Sequence[_Volume]) -> list[Category]:
    sums: dict[str, tuple[int, int, Decimal]] = {}
    for one in volume:
        incidents, calls, cost = sums.get(one.category, (0, 0, Decimal(0)))
        sums[one.category] = (
            incidents + one.incidents,
            calls + one.calls,
            cost + one.cost_cents,
        )
    found = [Category(category, *of_it) for category, of_it in sums.items() if of_it[0]]
    return sorted(found, key=lambda one: (-one.incidents, one.category))
