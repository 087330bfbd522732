"""What /metrics tells of incidents: asked of the database, so the same from every worker.

New beside the original drivers. Every number is over all tenants, and costs a read through an
index of what is recent or still open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from config import clock
from config.database.statements import run
from incidents.enums import DeliveryStatus, Outcome, Severity, Status

_OUTCOMES: Final = tuple(outcome.label for outcome in Outcome)
_REPORTS: Final = (
    f"SELECT {', '.join(f'coalesce(sum({name}), 0)' for name in _OUTCOMES)} "  # noqa: S608
    "FROM incidents_outcometally WHERE hour >= %s"
)
_OPEN: Final = (
    "SELECT status, severity, count(*) FROM incidents_incident "  # noqa: S608 - our own constant
    f"WHERE status <> '{Status.RESOLVED}' GROUP BY status, severity"
)
_LATE: Final = (
    "SELECT count(*), extract(epoch FROM %s - min(next_attempt_at)) "  # noqa: S608
    f"FROM incidents_webhookdelivery WHERE status = '{DeliveryStatus.PENDING}' "
    "AND next_attempt_at <= %s"
)


def collect() -> Iterable[Metric]:
    """The families, by one statement each."""
    now = clock.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    reports = CounterMetricFamily(
        "firebreak_reports",
        "Reports by outcome, since midnight UTC: a counter that starts again every day.",
        labels=["outcome"],
    )
    (counts,) = run(_REPORTS, [today])
    for outcome, count in zip(_OUTCOMES, counts, strict=True):
        reports.add_metric([outcome], float(count))
    yield reports

    unresolved = GaugeMetricFamily(
        "firebreak_unresolved_incidents",
        "Incidents that are open or acknowledged.",
        labels=["status", "severity"],
    )
    found = {(status, severity): count for status, severity, count in run(_OPEN, [])}
    for status in (Status.OPEN, Status.ACKNOWLEDGED):
        for severity in Severity:
            count = found.get((str(status), int(severity)), 0)
            unresolved.add_metric([str(status), severity.label], count)
    yield unresolved

    ((due, seconds),) = run(_LATE, [now, now])
    yield GaugeMetricFamily(
        "firebreak_webhook_deliveries_due", "Deliveries whose time has come.", value=due
    )
    yield GaugeMetricFamily(
        "firebreak_webhook_lag_seconds",
        "How long the oldest of them has been due, in seconds.",
        value=float(seconds or 0),
    )
