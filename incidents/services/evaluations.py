"""Replaces the policy evaluations of the violation driver, the plain cursor's included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from django.db import connection

from config import clock
from config.tenancy import scope
from config.tenancy.models import Tenant
from incidents.models import PolicyEvaluation


class Cursor(Protocol):
    """What is asked of a cursor: psycopg's own, or Django's."""

    def execute(self, statement: Any, parameters: Any = ..., /) -> Any: ...

    def fetchone(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """An evaluation; ``created`` is false when the run had one already, which stays."""

    evaluation: PolicyEvaluation
    created: bool


_RUN: Final = """
INSERT INTO incidents_run (id, tenant_id, run_id, status, incident_count, created_at)
VALUES (%s, %s, %s, 'running', 0, %s)
ON CONFLICT (tenant_id, run_id) DO NOTHING
"""
_EVALUATION: Final = """
INSERT INTO incidents_policyevaluation
    (id, tenant_id, run_id, outcome, policies_checked, confidence, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, run_id) DO NOTHING
RETURNING id
"""
_KNOWN: Final = "SELECT id FROM incidents_policyevaluation WHERE tenant_id = %s AND run_id = %s"


def record(
    *, tenant: Tenant, run_id: str, outcome: str, policies_checked: int, confidence: float
) -> Recorded:
    """Records what checking a run against its policies came to; once for a run."""
    with scope.tenant(tenant.pk), connection.cursor() as cursor:
        id_, created = record_with_cursor(
            cursor=cursor,
            tenant_id=tenant.pk,
            run_id=run_id,
            outcome=outcome,
            policies_checked=policies_checked,
            confidence=confidence,
        )
        return Recorded(PolicyEvaluation.objects.get(pk=id_), created)


def record_with_cursor(
    *,
    cursor: Cursor,
    tenant_id: str,
    run_id: str,
    outcome: str,
    policies_checked: int,
    confidence: float,
    at: datetime | None = None,
) -> tuple[UUID, bool]:
    """As :func:`record`, by a cursor of the caller's, in the caller's transaction.

    Neither commits nor rolls back. The evaluation's id, and whether it is new.
    """
    at = at or clock.now()
    cursor.execute(_RUN, [str(clock.uuid7()), tenant_id, run_id, at])
    cursor.execute(
        _EVALUATION,
        [str(clock.uuid7()), tenant_id, run_id, outcome, policies_checked, confidence, at],
    )
    row = cursor.fetchone()
    if row is not None:
        return row[0], True
    cursor.execute(_KNOWN, [tenant_id, run_id])
    return cursor.fetchone()[0], False
