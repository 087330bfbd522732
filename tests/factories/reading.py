"""Incidents as rows, for tests of what is read from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from hypothesis import strategies as st

from config import clock
from config.tenancy.models import Tenant
from incidents.enums import CauseType, ResolutionMethod, Severity, SourceType, Status
from incidents.models import Incident, IncidentRun, Run

# The clocks of Berlin are put back on 25 October 2026, those of New York on 1 November.
NOW = datetime(2026, 11, 5, 10, 20, 30, 123456, tzinfo=UTC)
# In the second half of its hour and its day, as NOW is in the first: sums go by that.
LATER = NOW + timedelta(hours=9, minutes=30)


def incident(
    tenant: Tenant,
    *,
    started_at: datetime = NOW - timedelta(hours=2),
    acknowledged_after: timedelta | None = None,
    resolved_after: timedelta | None = None,
    method: str = ResolutionMethod.MANUAL,
    runs: tuple[str, ...] = (),
    created_later: timedelta = timedelta(),
    **fields: Any,
) -> Incident:
    """An incident that is saved; open, unless it was acknowledged or resolved after a time."""
    id_ = clock.uuid7()
    created_at = fields.pop("created_at", started_at + created_later)
    if resolved_after is not None:
        fields |= {
            "status": Status.RESOLVED,
            "resolved_at": created_at + resolved_after,
            "resolved_by": "test",
            "resolution_method": method,
        }
    elif acknowledged_after is not None:
        fields["status"] = Status.ACKNOWLEDGED
    if acknowledged_after is not None:
        fields |= {"acknowledged_at": created_at + acknowledged_after, "acknowledged_by": "test"}
    values = {
        "id": id_,
        "tenant": tenant,
        "title": "Something broke",
        "severity": Severity.MEDIUM,
        "trigger_type": "failure_spike",
        "group_key": str(id_),
        "cause_type": CauseType.LLM_RUN,
        "source_type": SourceType.ALERT,
        "window_start": started_at,
        "started_at": started_at,
        "last_seen_at": started_at,
        "quiet_since": started_at,
        "created_at": created_at,
    } | fields
    values.setdefault("alerts_count", values.get("calls_affected", 0))
    saved: Incident = Incident.objects.create(**values)
    for run_id in runs:
        Run.objects.get_or_create(tenant=tenant, run_id=run_id)
        IncidentRun.objects.create(tenant=tenant, run_id=run_id, incident=saved)
    return saved


_SPAN = timedelta(days=100)
_SPECIAL = (
    NOW,
    NOW - timedelta(days=1),
    NOW - timedelta(days=7),
    NOW - timedelta(days=30),
    NOW - timedelta(days=30, microseconds=1),
    NOW - timedelta(days=90),
    LATER - timedelta(days=1),
    LATER - timedelta(days=30, microseconds=1),
    LATER - timedelta(days=90),
    NOW + timedelta(minutes=4),
    datetime(2026, 10, 24, 22, tzinfo=UTC),  # the day of 25 hours begins in Berlin
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 22, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 10, 25, 23, tzinfo=UTC),
    datetime(2026, 11, 1, 3, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 31, 18, 30, tzinfo=UTC),  # November begins in Kolkata
    datetime(2026, 11, 2, tzinfo=UTC),  # a Monday
)
_times = st.one_of(
    st.sampled_from(_SPECIAL),
    st.integers(0, int(_SPAN.total_seconds())).map(lambda s: NOW - timedelta(seconds=s)),
    st.integers(0, 3 * 86_400_000_000).map(lambda us: NOW - timedelta(microseconds=us)),
)
# Few values, so that there are ties; and the edges of the slots that times are counted in.
_durations = st.one_of(
    st.sampled_from((0, 1, 60_000_000, 131_072, 131_071, 3_600_000_000, 600_000_000)),
    st.integers(0, 200_000_000_000),
    st.integers(60_000_000, 62_000_000),
).map(lambda us: timedelta(microseconds=us))
_specifications = st.fixed_dictionaries(
    {
        "started_at": _times,
        # From when on times to acknowledge and to resolve run; not what windows go by.
        "created_later": st.just(timedelta()) | _durations,
        "severity": st.sampled_from(Severity),
        "category": st.sampled_from((None, "a", "b", "uncategorized")),
        "cause_type": st.sampled_from(CauseType),
        "acknowledged_after": st.none() | _durations,
        "resolved_after": st.none() | _durations,
        "method": st.sampled_from(ResolutionMethod),
        "calls_affected": st.integers(0, 300),
        "cost_delta_cents": st.one_of(
            st.sampled_from((Decimal(0), Decimal("1.5"))),
            st.integers(0, 10**9).map(lambda units: Decimal(units).scaleb(-4)),
        ),
        "runs": st.sampled_from(((), (), (), ("run-1",), ("run-2",), ("run-1", "run-2"))),
        "trigger_type": st.sampled_from(("failure_spike", "freeze")),
        "signature": st.sampled_from((None, None, "v1:x", "v1:y")),
        "error_code": st.sampled_from((None, "E", "F")),
        "assignee": st.sampled_from((None, "ada", "Bob")),
        "is_synthetic": st.booleans(),
    }
)
histories = st.lists(_specifications, max_size=25)


@contextmanager
def example(history: list[dict[str, Any]]) -> Iterator[tuple[Tenant, list[Incident]]]:
    """A tenant with these incidents, and another with some, at ``NOW`` or, where there is an odd
    number of them, at ``LATER``; afterwards neither.
    """
    with transaction.atomic(), clock.pretend(LATER if len(history) % 2 else NOW):
        tenant = Tenant.objects.create(id="read")
        other = Tenant.objects.create(id="read-other")
        incident(other, severity=Severity.CRITICAL, category="a", calls_affected=7)
        incident(other, resolved_after=timedelta(minutes=3), cost_delta_cents=Decimal(5))
        incidents = [incident(tenant, **specification) for specification in history]
        yield tenant, incidents
        transaction.set_rollback(True)
