"""Replaces the search for a suppressing rule: which rule a report meets, without asking for each.

A process keeps the rules of a tenant, compiled, under the version that they were read at. Every
batch of reports reads the version in force with the rest of its state, so that a change of rules
binds as soon as it was answered, in every process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from config.database.statements import run
from incidents.enums import RuleMode
from incidents.models.rule import MATCHED

Fields = tuple[str | None, ...]
"""What a report says of ``MATCHED``, in that order."""

_REMEMBERED: Final = 10_000
_TENANTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that a report meets, as it was then."""

    rule_id: UUID
    revision: int
    prevents: bool

    @property
    def mode(self) -> RuleMode:
        return RuleMode.ACTIVE if self.prevents else RuleMode.SHADOW


@dataclass(frozen=True, slots=True)
class _Shape:
    """All rules that ask for the same fields, by what they ask; of equal ones the newest."""

    places: tuple[int, ...]
    rules: dict[Fields, tuple[datetime, UUID, Match]] = field(default_factory=dict)


class Rules:
    """The active rules of a tenant. A report takes a few look-ups, however many rules there are.

    Of the rules that match, shadow ones included, the one that asks for most decides, of equally
    specific ones the newest.
    """

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        """``rows`` are (id, revision, mode, created_at, and what is asked in ``MATCHED`` order)."""
        shapes: dict[tuple[int, ...], _Shape] = {}
        for id_, revision, mode, created_at, *asked in rows:
            places = tuple(i for i, value in enumerate(asked) if value is not None)
            shape = shapes.setdefault(places, _Shape(places))
            entry = (created_at, id_, Match(id_, revision, mode == RuleMode.ACTIVE))
            wanted = tuple(asked[i] for i in places)
            held = shape.rules.get(wanted)
            if held is None or entry[:2] > held[:2]:
                shape.rules[wanted] = entry
        self._shapes = sorted(shapes.values(), key=lambda shape: -len(shape.places))
        self._known: dict[Fields, Match | None] = {}

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def match(self, fields: Fields) -> Match | None:
        """The rule that a report with these fields meets, if any."""
        try:
            return self._known[fields]
        except KeyError:
            pass
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        found = self._known[fields] = self._search(fields)
        return found

    def match_all(self, reports: Sequence[Fields]) -> list[Match | None]:
        """As :meth:`match`, for each report."""
        distinct = {fields: self.match(fields) for fields in set(reports)}
        return list(map(distinct.__getitem__, reports))

    def _search(self, fields: Fields) -> Match | None:
        best: tuple[datetime, UUID, Match] | None = None
        specificity = 0
        for shape in self._shapes:
            if best is not None and len(shape.places) < specificity:
                break
            found = shape.rules.get(tuple(fields[i] for i in shape.places))
            if found is not None and (best is None or found[:2] > best[:2]):
                best, specificity = found, len(shape.places)
        return None if best is None else best[2]


_cache: dict[str, tuple[UUID, Rules]] = {}

# One statement, so that the version and the rules are of one snapshot.
_LOAD: Final = f"""
SELECT s.version, r.id, r.revision, r.mode, r.created_at, {", ".join(f"r.{n}" for n in MATCHED)}
FROM incidents_ruleset s
LEFT JOIN incidents_policyrule r ON r.tenant_id = s.tenant_id AND r.is_active
WHERE s.tenant_id = %s
"""  # noqa: S608 - only our own constants are interpolated

_NONE: Final = Rules([])


def in_force(tenant_id: str, version: UUID | None) -> Rules:
    """The rules that hold at a version; read from the database when this process has not met it.

    None is the version of a tenant that never had a rule.
    """
    if version is None:
        return _NONE
    held = _cache.get(tenant_id)
    if held is not None and held[0] == version:
        return held[1]
    rows = run(_LOAD, [tenant_id])
    if not rows:
        return _NONE
    rules = Rules(row[1:] for row in rows if row[1] is not None)
    if len(_cache) >= _TENANTS and tenant_id not in _cache:
        _cache.pop(next(iter(_cache)), None)
    _cache[tenant_id] = (rows[0][0], rules)
    return rules
