"""The sums of a window by severity, and what is read beside them in the same statement."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Final

from incidents.enums import Severity, Status
from incidents.models.rollup import SLOT_DIGITS, SLOT_EDGES
from incidents.services import rollup

# What takes time: being acknowledged, and being resolved.
ACKNOWLEDGE: Final = "acknowledge"
RESOLVE: Final = "resolve"
KINDS: Final = (ACKNOWLEDGE, RESOLVE)

EXACT: Final = Context(prec=(len(SLOT_EDGES) + 1) * SLOT_DIGITS)


@dataclass(slots=True)
class Sums:
    """The sums of one severity, by kind where there are two.

    Of whole days a histogram says how long things took; of the day that the window cuts
    ``times_us`` does, the times as they are: to be added to the histogram's or, where
    ``times_sign`` is -1, to be taken away from them.
    """

    incidents: int = 0
    open: int = 0
    acknowledged: int = 0
    count: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    total_us: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    histogram: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(KINDS, Decimal(0)))
    times_us: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    times_sign: int = 1


_SUMS: Final = (
    "incidents",
    "open",
    "acknowledged",
    "acknowledge_count",
    "acknowledge_us",
    "resolve_us",
)
_SLOTS: Final = ("acknowledge_slots", "resolve_slots")

# Of the day that the window cuts, the times come as they are: to add them up as histograms would
# cost the database more than all the rest. An index has all that is asked here, and the state
# follows from which of the times there are (the table's constraints say so).
_PART: Final = """
    SELECT severity, {sign}count(*),
        {sign}count(*) FILTER (WHERE acknowledge_us IS NULL AND resolve_us IS NULL),
        {sign}count(*) FILTER (WHERE acknowledge_us IS NOT NULL AND resolve_us IS NULL),
        {sign}count(acknowledge_us), 0, 0, '0', '0',
        array_agg(acknowledge_us) FILTER (WHERE acknowledge_us IS NOT NULL),
        array_agg(resolve_us) FILTER (WHERE resolve_us IS NOT NULL), NULL::timestamptz
    FROM incidents_incident WHERE tenant_id = %s AND started_at >= %s AND started_at < %s
    GROUP BY severity
"""
_PARTS: Final = {sign: _PART.format(sign="-" * (sign < 0)) for sign in (1, -1)}

# Beside the sums, so that there is one statement less: in a row without a severity the targets
# (the severity, the seconds to acknowledge and to resolve, for each in turn), and when the oldest
# unresolved incident started.
_BESIDE: Final = f"""
    SELECT NULL::smallint, {", ".join(["0"] * len(_SUMS))}, '0', '0', (
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


def read_sums(tenant: str, since: datetime) -> tuple[dict[int, Sums], Targets, datetime | None]:
    """The sums and the targets in seconds, by severity, and when the oldest unresolved began."""
    wholes, parameters = rollup.source(
        rollup.DAYS, ("severity", *_SUMS, *_SLOTS), tenant=tenant, since=since, parts=False
    )
    part = rollup.part_of(rollup.DAY, since)
    sum_up = ", ".join(
        # Counts come as integers, which are read sooner; a sum of times may be beyond them.
        f"sum({name})::{'numeric' if name.endswith('_us') else 'bigint'}"
        for name in _SUMS
    )
    rows = rollup.read(
        # Numbers of thousands of digits are read sooner as text.
        f"SELECT severity, {sum_up}, sum(acknowledge_slots)::text, sum(resolve_slots)::text, "  # noqa: S608
        "NULL::bigint[], NULL::bigint[], NULL::timestamptz "
        f"FROM ({wholes}) s GROUP BY severity UNION ALL {_PARTS[part.sign]} UNION ALL {_BESIDE}",
        [*parameters, tenant, part.start, part.stop, tenant, tenant],
    )
    sums = {int(severity): Sums(times_sign=part.sign) for severity in Severity}
    targets: Targets = {}
    oldest = None
    for severity, incidents, opened, acknowledged, timed, *by_kind, started_at in rows:
        of_kinds = dict(zip(KINDS, (by_kind[::2], by_kind[1::2]), strict=True))
        if severity is None:
            *_, told = of_kinds[ACKNOWLEDGE]
            told = iter(told or ())
            targets = {
                of: {ACKNOWLEDGE: acknowledge, RESOLVE: resolve}
                for of, acknowledge, resolve in zip(told, told, told, strict=True)
            }
            oldest = started_at
            continue
        one = sums[severity]
        one.incidents += incidents
        one.open += opened
        one.acknowledged += acknowledged
        one.count[ACKNOWLEDGE] += timed
        one.count[RESOLVE] += incidents - opened - acknowledged
        for kind, (us, histogram, times) in of_kinds.items():
            one.total_us[kind] += int(us) + part.sign * sum(times or ())
            one.histogram[kind] = EXACT.add(one.histogram[kind], Decimal(histogram))
            one.times_us[kind] += times or ()
    return sums, targets, oldest
