"""What is known of a batch before the database is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from config.database.columns import microseconds
from config.tenancy.models import Tenant
from incidents.services import aggregation
from incidents.services.reports import Report

NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)


def test_prepare_knows_kinds_times_and_repeats() -> None:
    reports = [
        Report(trigger_type="b", call_id="1", occurred_at=NOON),
        Report(trigger_type="a", group_key="z", call_id="1", occurred_at=NOON + timedelta(hours=1)),
        Report(trigger_type="a", call_id="2", occurred_at=NOON - timedelta(hours=1)),
        Report(trigger_type="b", occurred_at=NOON),
        Report(trigger_type="b", occurred_at=NOON),
    ]
    batch = aggregation.prepare(tenant=Tenant(id="acme"), alerts=reports)
    assert batch.distinct == [("a", ""), ("a", "z"), ("b", "")]
    assert batch.earliest == microseconds(NOON) - 3_600_000_000
    assert batch.latest == microseconds(NOON) + 3_600_000_000
    # One call of two triggers is two; what names no call repeats nothing.
    assert not batch.repeats
    again = aggregation.prepare(tenant=Tenant(id="acme"), alerts=[*reports, reports[2]])
    assert again.repeats


def test_prepare_nothing() -> None:
    batch = aggregation.prepare(tenant=Tenant(id="acme"), alerts=[], rejected=2)
    assert (len(batch), batch.distinct, batch.repeats, batch.rejected) == (0, [], False, 2)
