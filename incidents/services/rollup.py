"""The sums over incidents: reading them exactly, folding what is new, proving them right.

A reading adds three things in one statement, so in one snapshot: the sums of whole hours or days,
the changes that are not folded into them yet, and the incidents themselves of those hours or days
that only count in part: those that count, or as a negative those that do not, whichever are of the
shorter time. :func:`source` writes that relation; each reading sums its columns.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from struct import Struct
from typing import Any, Final

from django.db import transaction

from config.database.statements import run
from incidents.enums import CauseType, ResolutionMethod, Severity, Status
from incidents.models.rollup import CHANGE_COLUMNS, SLOT_DIGITS, SLOT_EDGES, change_of

# The first half of the advisory lock's key: the word "fold" in ASCII.
_FOLD_LOCK: Final = 0x666F6C64
_STEP: Final = 20_000

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# When nothing starts any more.
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """The incidents that started from ``start`` up to ``stop``; sums of whole hours or days lack
    them (``sign`` 1) or count them although they should not (-1).
    """

    start: datetime
    stop: datetime
    sign: int


@dataclass(frozen=True, slots=True, eq=False)
class Rollup:
    """A table of sums: over which incidents each row goes, and what it sums.

    ``keys`` and ``measures`` give the SQL of each column for a single change; the first key is
    the time, whose column holds the start of its ``unit``.
    """

    table: str
    unit: timedelta
    keys: dict[str, str]
    measures: dict[str, str]

    @property
    def time(self) -> str:
        return next(iter(self.keys))


def _when(condition: str) -> str:
    return f"CASE WHEN {condition} THEN sign ELSE 0 END"


def _times(column: str) -> str:
    return f"COALESCE(sign * {column}, 0)"


_INCIDENTS: Final = {"incidents": "sign"}
_BY_SEVERITY: Final = {s.label: _when(f"severity = {int(s)}") for s in Severity}
_BY_STATUS: Final = {str(s): _when(f"status = '{s}'") for s in Status}
_BY_METHOD: Final = {str(m): _when(f"resolution_method = '{m}'") for m in ResolutionMethod}
_BY_CAUSE: Final = {str(c): _when(f"cause_type = '{c}'") for c in CauseType}
_ACKNOWLEDGED: Final = {
    "acknowledge_count": _when("acknowledge_us IS NOT NULL"),
    "acknowledge_us": _times("acknowledge_us"),
}
_RESOLVED: Final = {"resolve_us": _times("resolve_us")}
_VOLUME: Final = {"calls": "sign * calls", "cost": "sign * cost"}

HOURS: Final = Rollup(
    table="incidents_rolluphour",
    unit=HOUR,
    keys={"hour": "date_trunc('hour', started_at, 'UTC')"},
    measures=_INCIDENTS | _BY_SEVERITY | _BY_STATUS | _ACKNOWLEDGED | _RESOLVED | _VOLUME,
)
DAYS: Final = Rollup(
    table="incidents_rollupday",
    unit=DAY,
    keys={"day": "(started_at AT TIME ZONE 'UTC')::date", "severity": "severity"},
    measures=_INCIDENTS
    | {name: _BY_STATUS[name] for name in (Status.OPEN, Status.ACKNOWLEDGED)}
    | _BY_METHOD
    | _BY_CAUSE
    | _ACKNOWLEDGED
    | _RESOLVED
    | {
        "acknowledge_slots": _times("incidents_slot(acknowledge_us)"),
        "resolve_slots": _times("incidents_slot(resolve_us)"),
    },
)
CATEGORIES: Final = Rollup(
    table="incidents_rollupcategory",
    unit=DAY,
    keys={
        "day": "(started_at AT TIME ZONE 'UTC')::date",
        "category": "category",
        "resolution_method": "resolution_method",
    },
    measures=_INCIDENTS | _RESOLVED | _VOLUME,
)
ROLLUPS: Final = (HOURS, DAYS, CATEGORIES)


def floor(moment: datetime, unit: timedelta) -> datetime:
    """The start of the hour or day of UTC that a moment is in."""
    moment = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return moment.replace(hour=0) if unit == DAY else moment


def source(
    rollup: Rollup,
    columns: Sequence[str],
    *,
    tenant: str,
    since: datetime,
    edges: Sequence[datetime] = (),
    parts: bool = True,
) -> tuple[str, list[Any]]:
    """The SQL of a relation, and its parameters, over a tenant's incidents from ``since`` on.

    Its columns are those asked for (keys but the time, and measures to be summed) and before
    them ``at``, which no whole hour or day carries across one of the ``edges``; without any it
    tells the hour or day, of which the first may be there whole with a part of it taken away. A
    group may come with ``incidents`` that sum to nothing, when all that was in it has moved or
    is taken away. Without ``parts`` they are left out: read what :func:`part_of` tells beside it.
    """
    unit = rollup.unit
    begin = floor(since, unit)
    cut = sorted({start for at in (since, *edges) if (start := floor(at, unit)) != at})
    of_cut = [Part(max(start, since), _end(start, unit), 1) for start in cut]
    if not edges and (part := part_of(unit, since)).sign < 0:
        of_cut = [part]
        cut = [_NEVER]  # the first hour or day is not left out
    keys: list[Any] = [start.date() for start in cut] if unit == DAY else cut
    begin_key: Any = begin.date() if unit == DAY else begin
    places: list[Any] = [
        [part.start for part in of_cut],
        [part.stop for part in of_cut],
        [part.sign for part in of_cut],
    ]
    if single := len(cut) == 1:
        places = [place for (place,) in places]
    else:
        keys = [keys]
    parameters: list[Any] = [tenant, begin_key, *keys, tenant, begin, *keys]
    if parts:
        parameters += [*places, tenant]
    return _relation(rollup, tuple(columns), single, parts), parameters


def part_of(unit: timedelta, since: datetime) -> Part:
    """What is to be read one by one of the hour or day that ``since`` cuts: what counts of it, to
    be added, or, being less, the rest, to be taken away from the whole. Nothing if it cuts none.
    """
    begin = floor(since, unit)
    passed = since - begin
    if passed and passed < unit / 2:
        return Part(begin, since, -1)
    return Part(since, _end(begin, unit) if passed else since, 1)


def _end(start: datetime, unit: timedelta) -> datetime:
    return min(start, _NEVER - unit) + unit


@cache
def _relation(rollup: Rollup, columns: tuple[str, ...], single: bool, parts: bool) -> str:
    expressions = rollup.keys | rollup.measures
    of_change = ", ".join(f"{expressions[name]} AS {name}" for name in columns)
    at = f"{rollup.time}::timestamp AT TIME ZONE 'UTC'" if rollup.unit == DAY else rollup.time
    # Most often one alone is cut; simple values are sent and compared sooner than arrays.
    other = "<> %s" if single else "<> ALL(%s::date[])"
    if not single and rollup.unit == HOUR:
        other = "<> ALL(%s::timestamptz[])"
    places = (
        "(VALUES (%s::timestamptz, %s::timestamptz, %s::int))"
        if single
        else "unnest(%s::timestamptz[], %s::timestamptz[], %s::int[])"
    )
    whole = f"""
        SELECT {at} AS at, {", ".join(columns)} FROM {rollup.table}
        WHERE tenant_id = %s AND {rollup.time} >= %s AND {rollup.time} {other}
        UNION ALL
        SELECT started_at, {of_change} FROM incidents_rollupchange
        WHERE tenant_id = %s AND started_at >= %s AND {rollup.keys[rollup.time]} {other}
    """  # noqa: S608 - only our own names and constants are interpolated
    part = f"""
        SELECT part.started_at AS at, {of_change}
        FROM {places} AS c(start, stop, adds) CROSS JOIN LATERAL (
            SELECT {change_of("i", "c.adds")} FROM incidents_incident i
            WHERE i.tenant_id = %s AND i.started_at >= c.start AND i.started_at < c.stop
            OFFSET 0 -- each of the few parts by itself, through the index
        ) part
    """  # noqa: S608 - only our own names and constants are interpolated
    return f"{whole} UNION ALL {part}" if parts else whole


def read(
    statement: str, parameters: Sequence[Any] | Mapping[str, Any], *, plan_once: bool = True
) -> list[Any]:
    """The rows of a reading.

    Not to ``plan_once`` it is planned for these very parameters: where a plan for any tenant and
    window looks so dear to the planner that it compiles it, that takes longer than the reading.
    """
    return run(statement, parameters, prepare=plan_once)


_TOTAL: Final = """
SELECT (
    COALESCE((SELECT sum(incidents) FROM incidents_rollupday WHERE tenant_id = %s), 0)
    + COALESCE((SELECT sum(sign) FROM incidents_rollupchange WHERE tenant_id = %s), 0)
)::bigint
"""


def total(tenant: str) -> int:
    """How many incidents a tenant has."""
    ((number,),) = read(_TOTAL, [tenant, tenant])
    return int(number)


_NONE: Final = b"0" * SLOT_DIGITS
_SLOTS: Final = Struct(f"{SLOT_DIGITS}s" * (len(SLOT_EDGES) + 1))


def slots(histogram: Decimal) -> list[int]:
    """The counts of a histogram that came as one number: how many are in each slot."""
    digits = f"{histogram:f}".zfill(_SLOTS.size).encode()
    return [0 if count == _NONE else int(count) for count in reversed(_SLOTS.unpack(digits))]


def slot_of(us: int) -> int:
    """The slot that a time of so many microseconds is counted in."""
    return bisect_right(SLOT_EDGES, us)


def slot_range(slot: int) -> tuple[int | None, int | None]:
    """The microseconds from which, and up to which, times are in a slot; None is unbounded."""
    return (
        SLOT_EDGES[slot - 1] if slot else None,
        SLOT_EDGES[slot] if slot < len(SLOT_EDGES) else None,
    )


def fold() -> int:
    """Adds to the sums what changed since the last time; how many changes that were.

    Works in steps of their own transactions; while another process folds, it does nothing.
    """
    folded = 0
    while True:
        with transaction.atomic():
            if not run("SELECT pg_try_advisory_xact_lock(%s)", [_FOLD_LOCK])[0][0]:
                return folded
            ((count,),) = run(_FOLD, [_STEP])
        folded += int(count)
        if count < _STEP:
            return folded


def _summed(rollup: Rollup, changes: str) -> str:
    keys = ", ".join(f"{sql} AS {name}" for name, sql in rollup.keys.items())
    measures = ", ".join(f"sum({sql}) AS {name}" for name, sql in rollup.measures.items())
    places = ", ".join(str(place) for place in range(1, len(rollup.keys) + 2))
    return f"SELECT tenant_id, {keys}, {measures} FROM {changes} GROUP BY {places}"  # noqa: S608


def _added(rollup: Rollup, changes: str) -> str:
    names = ", ".join(rollup.keys | rollup.measures)
    sums = ", ".join(f"{name} = t.{name} + excluded.{name}" for name in rollup.measures)
    return f"""
        INSERT INTO {rollup.table} AS t (tenant_id, {names}) {_summed(rollup, changes)}
        ON CONFLICT (tenant_id, {", ".join(rollup.keys)}) DO UPDATE SET {sums}
    """


_INTO: Final = ", ".join(f"{r.table}_sums AS ({_added(r, 'taken')})" for r in ROLLUPS)
_FOLD: Final = f"""
WITH taken AS (
    DELETE FROM incidents_rollupchange WHERE id IN (
        SELECT id FROM incidents_rollupchange ORDER BY id LIMIT %s)
    RETURNING {CHANGE_COLUMNS}
), {_INTO}
SELECT count(*) FROM taken
"""  # noqa: S608 - only our own names and constants are interpolated


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the sums are not those of the rows: of which table, and for which keys."""

    table: str
    tenant: str
    keys: tuple[Any, ...]


def differences(*, limit: int = 10) -> list[Difference]:
    """Where the sums (with what is not folded yet) differ from the incidents; empty: nowhere.

    Each table is compared in one statement, so while everything goes on.
    """
    found: list[Difference] = []
    for rollup in ROLLUPS:
        for tenant, *keys in run(_compare(rollup), [limit]):
            found.append(Difference(rollup.table, tenant, tuple(keys)))
    return found


def _compare(rollup: Rollup) -> str:
    keys = ", ".join(("tenant_id", *rollup.keys))
    measures = rollup.measures
    names = ", ".join(measures)
    from_rows = _summed(
        rollup,
        f"(SELECT {change_of('i', 1)} FROM incidents_incident i) AS every",  # noqa: S608
    )
    negated = ", ".join(f"-{name}" for name in measures)
    nothing = " AND ".join(f"sum({name}) = 0" for name in measures)
    return f"""
        SELECT {keys} FROM (
            SELECT {keys}, {names} FROM {rollup.table}
            UNION ALL {_summed(rollup, "incidents_rollupchange")}
            UNION ALL SELECT {keys}, {negated} FROM ({from_rows}) rows
        ) both_sides
        GROUP BY {keys} HAVING NOT ({nothing})
        ORDER BY {keys} LIMIT %s
    """  # noqa: S608 - only our own names and constants are interpolated


def rebuild() -> None:
    """Makes the sums anew from the incidents; until it has, nobody can change an incident."""
    with transaction.atomic():
        run("SELECT pg_advisory_xact_lock(%s)", [_FOLD_LOCK])
        run("LOCK TABLE incidents_incident IN SHARE MODE", [])
        run("DELETE FROM incidents_rollupchange", [])
        for rollup in ROLLUPS:
            run(f"DELETE FROM {rollup.table}", [])  # noqa: S608 - our own name
            run(
                _added(rollup, f"(SELECT {change_of('i', 1)} FROM incidents_incident i) every"),  # noqa: S608
                [],
            )
