"""Prometheus Alertmanager's webhook, version 4.

A notification is about one group of alerts. The group is the group key of the reports, so that
what Alertmanager notifies of together is one incident; each alert is a call, known by its
fingerprint and the time it started, so that a repeated notification is a duplicate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from config.api import strictjson
from config.api.values import parse_timestamp
from config.errors import FieldError, Invalid
from incidents.enums import CauseType
from incidents.senders import fitting
from incidents.services.reports import Refusal, Report

TRIGGER: Final = "alertmanager"
VERSION: Final = "4"
MAX_ALERTS: Final = 1_000

_FINGERPRINT: Final = re.compile(r"[0-9A-Za-z]{1,64}")
_STATUSES: Final = ("firing", "resolved")


@dataclass(slots=True)
class Notification:
    """What a notification says.

    ``firing`` are reports; ``resolved`` the call ids of alerts that ended; ``refusals`` the
    alerts that could not be read, by their place.
    """

    firing: list[Report] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def received(self) -> int:
        return len(self.firing) + len(self.resolved) + len(self.refusals)


def read(data: bytes, *, at: datetime) -> Notification:
    """The alerts of a notification; Invalid when it is none."""
    body = strictjson.loads(data)
    if not isinstance(body, dict):
        raise Invalid.field("", "must be a JSON object")
    errors = []
    if body.get("version") != VERSION:
        errors.append(FieldError("/version", f"must be {VERSION!r}"))
    group = body.get("groupKey")
    if not isinstance(group, str) or not group:
        errors.append(FieldError("/groupKey", "must be a string of 1 character or more"))
    alerts = body.get("alerts")
    if not isinstance(alerts, list) or not 1 <= len(alerts) <= MAX_ALERTS:
        errors.append(FieldError("/alerts", f"must be a list of 1 to {MAX_ALERTS:,} alerts"))
    if errors:
        raise Invalid(errors)
    notification = Notification()
    for index, alert in enumerate(alerts or ()):
        problems = _problems(alert, at)
        if problems:
            notification.refusals.append(Refusal(index, tuple(problems)))
            continue
        started_at = parse_timestamp(alert["startsAt"])
        call_id = f"{alert['fingerprint']}/{started_at.isoformat()}"
        if alert["status"] == "resolved":
            notification.resolved.append(call_id)
        else:
            notification.firing.append(
                _report(alert, call_id=call_id, group=str(group), occurred_at=started_at)
            )
    return notification


def _problems(alert: Any, at: datetime) -> list[FieldError]:
    if not isinstance(alert, dict):
        return [FieldError("", "must be a JSON object")]
    errors = []
    if alert.get("status") not in _STATUSES:
        errors.append(FieldError("/status", "must be firing or resolved"))
    fingerprint = alert.get("fingerprint")
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        errors.append(FieldError("/fingerprint", "must be 1 to 64 letters and digits"))
    try:
        started_at = parse_timestamp(alert.get("startsAt") or "")
        if late := fitting.ahead(started_at, at=at, pointer="/startsAt"):
            errors.append(late)
    except (ValueError, TypeError) as error:
        detail = str(error) if isinstance(error, ValueError) else "must be a string"
        errors.append(FieldError("/startsAt", detail))
    for name in ("labels", "annotations"):
        members = alert.get(name)
        if members is None and name == "annotations":
            continue
        if not isinstance(members, dict) or not all(isinstance(v, str) for v in members.values()):
            errors.append(FieldError(f"/{name}", "must be a JSON object of strings"))
    return errors


def _report(alert: dict[str, Any], *, call_id: str, group: str, occurred_at: datetime) -> Report:
    labels, annotations = alert["labels"], alert.get("annotations") or {}
    name = fitting.text(labels.get("alertname"), 200)
    summary = fitting.text(annotations.get("summary"))
    return Report(
        trigger_type=TRIGGER,
        trigger_value=name,
        group_key=fitting.distinct(group, fitting.MAX_GROUP),
        call_id=call_id,
        occurred_at=occurred_at,
        run_id=fitting.run_id(labels.get("run_id")),
        agent_id=fitting.identifier(labels.get("agent_id")),
        model=fitting.text(labels.get("model"), 200),
        error_code=name,
        error_message=summary or fitting.text(annotations.get("message")),
        metadata=fitting.metadata(
            {
                "labels": labels,
                "annotations": annotations,
                "generatorURL": fitting.text(alert.get("generatorURL")),
            }
        ),
        severity=fitting.severity(labels.get("severity")),
        title=summary or name,
        description=fitting.text(annotations.get("description")) or "",
        cause_type=CauseType.SYSTEM,
    )
