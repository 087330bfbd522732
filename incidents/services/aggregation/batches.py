"""Reports made ready for the database: all that can be done to a batch without it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final

from config import clock
from config.database.columns import Columns, are_equal, microseconds
from config.tenancy.models import AggregationConfig, Tenant
from incidents.services.aggregation.routing import Facts, Kind
from incidents.services.reports import AnyReport, Report

_SECOND: Final = 1_000_000


@dataclass(slots=True)
class Batch:
    """Reports of one tenant, made ready for the database: all that can be done without it.

    Every list runs parallel to ``reports``, but for ``distinct``, which has each kind once.
    ``order`` is the ascending order of the keys, ``columns`` the alerts' rows in that order but
    for where they belong. ``earliest`` and ``latest`` are of the times, 0 where there are none;
    with ``repeats`` a key is there more than once.
    """

    tenant_id: str
    facts: Facts
    reports: Sequence[AnyReport]
    rejected: int
    at: datetime
    times: list[int]
    earliest: int
    latest: int
    kinds: list[Kind]
    distinct: list[Kind]
    keys: list[bytes]
    repeats: bool
    order: list[int]
    columns: Columns
    calls: int
    cost: Decimal
    has_runs: bool

    def __len__(self) -> int:
        return len(self.reports)

    def first(self) -> dict[bytes, int]:
        """The place of the first report with each key; a repeat in the batch is its duplicate."""
        return dict(zip(reversed(self.keys), range(len(self) - 1, -1, -1), strict=True))

    def only(self, places: Sequence[int]) -> Batch:
        """The batch of the reports at these places, in order."""
        return _prepare(
            self.tenant_id,
            self.facts,
            [self.reports[place] for place in places],
            [self.keys[place] for place in places],
            rejected=self.rejected,
            at=self.at,
        )


def prepare(*, tenant: Tenant, alerts: Sequence[AnyReport], rejected: int = 0) -> Batch:
    """Makes a batch ready to be folded in; touches no database, so that it can run ahead."""
    return _prepare(
        tenant.pk,
        _facts(tenant.aggregation),
        alerts,
        _keys(tenant.pk, alerts),
        rejected=rejected,
        at=clock.now(),
    )


def _facts(config: AggregationConfig) -> Facts:
    return Facts(
        window=config.window_seconds * _SECOND,
        cooldown=config.cooldown_seconds * _SECOND,
        incidents_per_hour=config.incidents_per_hour,
    )


def _prepare(
    tenant_id: str,
    facts: Facts,
    reports: Sequence[AnyReport],
    keys: list[bytes],
    *,
    rejected: int,
    at: datetime,
) -> Batch:
    count = len(reports)
    received = microseconds(at)
    # A column at a time: an object for each report would be looked at by the garbage collector.
    values: dict[str, Sequence[Any]] = {name: list(map(get, reports)) for name, get in _FIELDS}
    times = [received if t is None else microseconds(t) for t in values["occurred_at"]]
    triggers, groups = values["trigger_type"], [group or "" for group in values["group_key"]]
    if count and are_equal(triggers) and are_equal(groups):
        kinds = [(triggers[0], groups[0])] * count
    else:
        kinds = list(zip(triggers, groups, strict=True))
    values["group_key"] = groups
    order = sorted(range(count), key=keys.__getitem__)
    costs = [cost for cost in values["cost_delta_cents"] if cost is not None]
    return Batch(
        tenant_id=tenant_id,
        facts=facts,
        reports=reports,
        rejected=rejected,
        at=at,
        times=times,
        earliest=min(times, default=0),
        latest=max(times, default=0),
        kinds=kinds,
        distinct=sorted(set(kinds)),  # so that every batch meets them in one order
        keys=keys,
        repeats=len(set(keys)) < count,
        order=order,
        columns=_alert_columns(tenant_id, values, times, keys, order, at=at),
        calls=count - values["call_id"].count(None),
        cost=sum(map(Decimal, costs), Decimal(0)),
        has_runs=not (
            values["run_id"].count(None) == count and values["agent_id"].count(None) == count
        ),
    )


def _keys(tenant_id: str, reports: Sequence[AnyReport]) -> list[bytes]:
    """The deduplication key of every report: a digest, or random bytes without a call.

    The tenant and the trigger cannot hold a NUL, so the parts cannot run into each other.
    """
    prefixes = {
        trigger: f"{tenant_id}\0{trigger}\0".encode()
        for trigger in {report.trigger_type for report in reports}
    }
    return [
        os.urandom(16)
        if (call := report.call_id) is None
        else blake2b(prefixes[report.trigger_type] + call.encode(), digest_size=16).digest()
        for report in reports
    ]


def alert_key(*, tenant_id: str, trigger_type: str, call_id: str) -> bytes:
    """The key of the alert that reports this call, whether it was received or not."""
    return _keys(tenant_id, [Report(trigger_type=trigger_type, call_id=call_id)])[0]


_TEXT_COLUMNS: Final = (
    "trigger_type",
    "trigger_value",
    "call_id",
    "run_id",
    "agent_id",
    "model",
    "error_code",
    "error_message",
    "category",
    "auto_action",
    "synthetic_scenario_id",
)
_FIELDS: Final = [
    (name, attrgetter(name))
    for name in (
        *_TEXT_COLUMNS,
        "group_key",
        "occurred_at",
        "cost_delta_cents",
        "is_synthetic",
        "metadata",
    )
]


def _alert_columns(
    tenant_id: str,
    values: Mapping[str, Sequence[Any]],
    times: Sequence[int],
    keys: Sequence[bytes],
    order: Sequence[int],
    *,
    at: datetime,
) -> Columns:
    """The alerts as columns, in ascending order of their keys (see the locking order)."""
    count = len(order)
    columns = Columns("incidents_alert", count, order=order)
    if not count:
        return columns
    columns.constant("tenant_id", "text", tenant_id)
    columns.constant("created_at", "timestamptz", microseconds(at))
    columns.add("key", "uuid", keys)
    columns.add("id", "uuid", _sequential_ids(count))
    columns.add("occurred_at", "timestamptz", times)
    for name in (*_TEXT_COLUMNS, "group_key"):
        columns.add(name, "text", values[name])
    columns.add("cost_delta_cents", "numeric", values["cost_delta_cents"])
    columns.add("is_synthetic", "boolean", [bool(flag) for flag in values["is_synthetic"]])
    columns.add("metadata", "jsonb", [bytes(r).decode() if r else None for r in values["metadata"]])
    return columns


def _sequential_ids(count: int) -> list[bytes]:
    """UUIDv7 values that keep the order in which the reports came."""
    first = clock.uuid7().bytes
    head, low = first[:8], int.from_bytes(first[8:])
    return [head + (low + offset).to_bytes(8) for offset in range(count)]
