"""Rules that reports meet, and the record of what they prevented, or in shadow would have."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from uuid import UUID

from config import clock
from config.database import arrays
from config.database.columns import Columns, microseconds
from config.database.statements import run
from incidents.models.rule import MATCHED
from incidents.services import matching
from incidents.services.aggregation.batches import Batch
from incidents.services.matching import Match

_matched = attrgetter(*MATCHED)


def match(batch: Batch, version: UUID) -> list[Match | None]:
    """The rule that each report meets; nothing at all when none meets any."""
    rules = matching.in_force(batch.tenant_id, version)
    if not rules:
        return []
    matches = rules.match_all(list(map(_matched, batch.reports)))
    return matches if matches.count(None) < len(matches) else []


def note(batch: Batch, ids: Sequence[UUID | None], matches: Sequence[Match | None]) -> None:
    """Records every report of the batch that met a rule, and where it went all the same.

    Its incident is null where it was prevented.
    """
    met = [
        (report, one, key, time, id_)
        for report, one, key, time, id_ in zip(
            batch.reports, matches, batch.keys, batch.times, ids, strict=True
        )
        if one is not None
    ]
    reports, rules, keys, times, incidents = zip(*met, strict=True)
    rows = Columns("incidents_prevention", len(met))
    rows.constant("tenant_id", "text", batch.tenant_id)
    rows.constant("created_at", "timestamptz", microseconds(batch.at))
    rows.packed("id", arrays.sequential_uuids(clock.uuid7().bytes, len(met)), "uuid")
    rows.add("alert_key", "uuid", keys)
    rows.add("rule_id", "uuid", [one.rule_id.bytes for one in rules])
    rows.add("revision", "bigint", [one.revision for one in rules])
    rows.add("mode", "text", [one.mode for one in rules])
    rows.add("incident_id", "uuid", [None if id_ is None else id_.bytes for id_ in incidents])
    rows.add("occurred_at", "timestamptz", times)
    rows.add("group_key", "text", [report.group_key or "" for report in reports])
    for name in ("trigger_type", "call_id", "run_id", "agent_id", "error_code", "category"):
        rows.add(name, "text", [getattr(report, name) for report in reports])
    rows.add("cost_delta_cents", "numeric", [report.cost_delta_cents for report in reports])
    run(*rows.insert())
