"""What narrows a list of incidents, as SQL: written once for every list, count and screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from config import clock
from config.database import arrays
from incidents.enums import Severity, Status, Topic

Condition = tuple[str, list[Any]]

TABLE: Final = "incidents_incident"
RETENTION_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What incidents have to be to come into a list; what is None or empty narrows nothing.

    ``retention_days`` goes with the topic historical. ``run_id`` and ``agent_id`` are of any
    alert of the incident. Of times, ``after`` is at or after, ``before`` is before and ``as_of``
    is at or after its creation.

    All words of ``search`` have to be in the title, description and error message together, or
    in one entry of the timeline (the entry by which Firebreak itself opened it aside). Case and
    punctuation do not count; words are whole words in any language, unstemmed. A text without a
    word finds nothing.
    """

    topic: str | None = None
    retention_days: int = RETENTION_DAYS
    status: Sequence[str] = ()
    severity: Sequence[str] = ()
    category: Sequence[str] = ()
    cause_type: str | None = None
    trigger_type: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    assignee: str | None = None
    is_synthetic: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    resolved_after: datetime | None = None
    resolved_before: datetime | None = None
    search: str | None = None
    as_of: datetime | None = None
    signature: str | None = None
    other_than: UUID | None = None

    def conditions(
        self, *, tenant: str | None, found: Sequence[UUID] | None = None
    ) -> list[Condition]:
        """The SQL of each condition with its parameters; ``tenant`` is the only one looked at.

        ``found`` is what the search finds, where that is known already.
        """
        conditions: list[Condition] = (
            [] if tenant is None else [(f"{TABLE}.tenant_id = %s", [tenant])]
        )
        if self.topic is not None:
            conditions.append(self._of_topic())
        if self.status:
            conditions.append(
                (_among("status", [repr(str(Status(one))) for one in self.status]), [])
            )
        if self.severity:
            ranks = [str(int(Severity.named(label))) for label in self.severity]
            conditions.append((_among("severity", ranks), []))
        if self.category:
            conditions.append((f"{TABLE}.category = ANY(%s)", [list(self.category)]))
        for name, condition in _COMPARED.items():
            if (value := getattr(self, name)) is not None:
                conditions.append((condition, [value]))
        if found is not None:
            packed = arrays.uuids([id_.bytes for id_ in found])
            conditions.append((f"{TABLE}.id = ANY(%s::uuid[])", [packed]))
        elif self.search is not None:
            # The tenant: a word that everybody uses then costs no more than its share.
            conditions.append(
                (
                    f"{TABLE}.id IN (SELECT unnest(incidents_found(%s, %s, NULL)))",
                    [self.search, tenant],
                )
            )
        return conditions

    def _of_topic(self) -> Condition:
        if self.topic == Topic.ACTIVE:
            return f"{TABLE}.status <> '{Status.RESOLVED}'", []
        resolved = f"{TABLE}.status = '{Status.RESOLVED}'"
        if self.topic == Topic.RESOLVED:
            return resolved, []
        before = clock.now() - timedelta(days=self.retention_days)
        return f"{resolved} AND {TABLE}.resolved_at < %s", [before]


# In the SQL, where the planner sees them: an index of the unresolved serves each of their states.
def _among(column: str, literals: Sequence[str]) -> str:
    return f"{TABLE}.{column} IN ({', '.join(sorted(set(literals)))})"


def _linked(table: str, column: str) -> str:
    return (
        f"EXISTS (SELECT FROM {table} l WHERE l.tenant_id = {TABLE}.tenant_id "
        f"AND l.{column} = %s AND l.incident_id = {TABLE}.id)"
    )


_COMPARED: Final = {
    "cause_type": f"{TABLE}.cause_type = %s",
    "trigger_type": f"{TABLE}.trigger_type = %s",
    "agent_id": _linked("incidents_incidentagent", "agent_id"),
    "run_id": _linked("incidents_incidentrun", "run_id"),
    "assignee": f"{TABLE}.assignee = %s",
    "is_synthetic": f"{TABLE}.is_synthetic = %s",
    "created_after": f"{TABLE}.created_at >= %s",
    "created_before": f"{TABLE}.created_at < %s",
    "resolved_after": f"{TABLE}.resolved_at >= %s",
    "resolved_before": f"{TABLE}.resolved_at < %s",
    "as_of": f"{TABLE}.created_at <= %s",
    "signature": f"{TABLE}.signature = %s",
    "other_than": f"{TABLE}.id <> %s",
}
# With these alone the statement is planned once: whoever the tenant and whatever the time, to
# follow the index of the order is right. What else is asked for may be rare, or not.
_PLANNED_ONCE: Final = frozenset(
    {"topic", "retention_days", "status", "created_after", "created_before", "as_of"}
)
_DEFAULTS: Final = {field.name: field.default for field in fields(Narrowing)}


def is_plain(narrowing: Narrowing) -> bool:
    return all(
        name in _PLANNED_ONCE or getattr(narrowing, name) == default
        for name, default in _DEFAULTS.items()
    )


def joined(conditions: Sequence[Condition]) -> Condition:
    return (
        " AND ".join(condition for condition, _ in conditions),
        [parameter for _, parameters in conditions for parameter in parameters],
    )
