"""What must be true of a tenant's rows whatever was sent, asked of the database itself."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from incidents.enums import Outcome
from incidents.models import Alert, Incident, OutcomeTally


def assert_consistent(tenant_id: str, *, received: int | None = None) -> None:
    """Counters equal rows, keys are held once, and outcomes add up to what was received."""
    alerts = list(Alert.objects.filter(tenant_id=tenant_id))
    for incident in Incident.objects.filter(tenant_id=tenant_id):
        own = [alert for alert in alerts if alert.incident_id == incident.pk]
        assert incident.alerts_count == len(own)
        assert incident.calls_affected == len({a.call_id for a in own if a.call_id is not None})
        cost = sum((alert.cost_delta_cents or Decimal(0) for alert in own), Decimal(0))
        assert incident.cost_delta_cents == cost
        if own:
            assert incident.started_at == min(alert.occurred_at for alert in own)
            assert incident.last_seen_at == max(alert.occurred_at for alert in own)
    calls = Counter((a.trigger_type, a.call_id) for a in alerts if a.call_id is not None)
    assert not [call for call, count in calls.items() if count > 1]
    keys = Counter(
        Incident.objects.filter(tenant_id=tenant_id)
        .exclude(status="resolved")
        .values_list("trigger_type", "group_key", "window_start")
    )
    assert not [key for key, count in keys.items() if count > 1]
    totals: Counter[str] = Counter()
    for row in OutcomeTally.objects.filter(tenant_id=tenant_id):
        for outcome in Outcome:
            totals[outcome.label] += getattr(row, outcome.label)
        totals["received"] += row.received
    recorded = Counter(Outcome(alert.outcome).label for alert in alerts)
    for label in ("opened", "aggregated", "overflowed", "prevented"):
        assert totals[label] == recorded[label]
    assert totals["received"] == sum(totals[outcome.label] for outcome in Outcome)
    if received is not None:
        assert totals["received"] == received
