"""Promises 1 to 4 once more, as plainly as they can be said: slow, in memory, one alert at a time.

Tests hold the service against this. It shares no code with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
THRESHOLDS = ((200, 4), (50, 3), (10, 2), (1, 1))
INITIAL = {"budget_breach": 4, "freeze": 4, "failure_spike": 3, "content_policy": 3}


@dataclass
class Alert:
    trigger: str
    at: datetime
    group: str = ""
    call: str | None = None
    cents: int = 0


@dataclass
class Incident:
    number: int
    trigger: str
    group: str
    window: datetime
    started: datetime
    last_seen: datetime
    severity: int
    status: str = "open"
    calls: list[tuple[str, str]] = field(default_factory=list)
    alerts: int = 0
    cents: int = 0
    base: int = 0

    @property
    def overflow(self) -> bool:
        return self.trigger == "rate_limit_overflow"

    @property
    def distinct_calls(self) -> int:
        return len({call for _, call in self.calls})


@dataclass
class Reference:
    window: int = 300
    cooldown: int = 60
    limit: int = 20
    incidents: list[Incident] = field(default_factory=list)
    seen: dict[tuple[str, str], Incident] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)

    def report(self, alert: Alert) -> tuple[str, Incident]:
        outcome, incident = self._place(alert)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        return outcome, incident

    def _place(self, alert: Alert) -> tuple[str, Incident]:
        if alert.call is not None and (alert.trigger, alert.call) in self.seen:
            return "duplicate", self.seen[alert.trigger, alert.call]
        found = self._own(alert.trigger, alert.group, alert.at) or self._spanning(alert)
        if found:
            return "aggregated", self._add(found, alert)
        counted = [
            i
            for i in self.incidents
            if not i.overflow
            and i.trigger != "manual"
            and alert.at - timedelta(hours=1) < i.started <= alert.at
        ]
        if len(counted) < self.limit:
            severity = INITIAL.get(alert.trigger, 2)
            return "opened", self._add(
                self._open(alert, alert.trigger, alert.group, severity), alert
            )
        overflow = self._own("rate_limit_overflow", "", alert.at)
        if overflow is None:
            in_hour = [
                i
                for i in self.incidents
                if i.overflow
                and i.status != "resolved"
                and alert.at - timedelta(hours=1) < i.started <= alert.at
            ]
            overflow = max(in_hour, key=lambda i: i.started, default=None)
        if overflow is None:
            overflow = self._open(alert, "rate_limit_overflow", "", 3)
        return "overflowed", self._add(overflow, alert)

    def window_of(self, at: datetime) -> datetime:
        seconds = (at - EPOCH) // timedelta(seconds=1)
        return EPOCH + timedelta(seconds=seconds - seconds % self.window)

    def _own(self, trigger: str, group: str, at: datetime) -> Incident | None:
        for i in self.incidents:
            if (
                i.status != "resolved"
                and (i.trigger, i.group) == (trigger, group)
                and i.window == self.window_of(at)
            ):
                return i
        return None

    def _spanning(self, alert: Alert) -> Incident | None:
        slack = timedelta(seconds=self.cooldown)
        spanning = [
            i
            for i in self.incidents
            if i.status != "resolved"
            and (i.trigger, i.group) == (alert.trigger, alert.group)
            and i.started - slack <= alert.at <= i.last_seen + slack
        ]
        return max(spanning, key=lambda i: (i.started, i.number), default=None)

    def _open(self, alert: Alert, trigger: str, group: str, severity: int) -> Incident:
        incident = Incident(
            number=len(self.incidents),
            trigger=trigger,
            group=group,
            window=self.window_of(alert.at),
            started=alert.at,
            last_seen=alert.at,
            severity=severity,
        )
        self.incidents.append(incident)
        return incident

    def _add(self, incident: Incident, alert: Alert) -> Incident:
        incident.alerts += 1
        incident.cents += alert.cents
        incident.started = min(incident.started, alert.at)
        incident.last_seen = max(incident.last_seen, alert.at)
        if alert.call is not None:
            self.seen[alert.trigger, alert.call] = incident
            before = incident.distinct_calls
            incident.calls.append((alert.trigger, alert.call))
            if incident.distinct_calls > before:
                for calls, severity in THRESHOLDS:
                    if incident.distinct_calls - incident.base >= calls:
                        incident.severity = max(incident.severity, severity)
                        break
        return incident
