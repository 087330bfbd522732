"""What a rule did: what it prevented, and whether what it was made for still comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Count, Min, Q, Sum

from config import clock
from incidents.enums import RuleMode
from incidents.models import Incident, PolicyRule, Prevention, RuleRevision

LONGEST: Final = timedelta(days=90)
SHORTEST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Period:
    """The incidents of the source's signature that started at or after ``since`` and before
    ``until``: how many, and what their alerts cost together, in cents.
    """

    since: datetime
    until: datetime
    recurrences: int
    cost_delta_cents: Decimal


@dataclass(frozen=True, slots=True)
class Effectiveness:
    """``preventions`` are the reports that the rule kept out of the incidents,
    ``prevented_cost_cents`` what those that told a cost told together; ``shadow_matches`` those
    that it would have prevented in shadow mode.

    ``before`` and ``after`` are periods of the same length that end and begin with the activation;
    both are null where there is not enough data to compare. ``explanation`` says what is counted.
    """

    rule_id: UUID
    preventions: int
    prevented_cost_cents: Decimal | None
    shadow_matches: int
    activated_at: datetime | None
    deactivated_at: datetime | None
    source_incident_id: UUID | None
    signature: str | None
    before: Period | None
    after: Period | None
    explanation: str


@dataclass(frozen=True, slots=True)
class _Activity:
    """The latest stretch of time in which a rule was active, and when an earlier one ended."""

    activated_at: datetime
    deactivated_at: datetime | None
    inactive_since: datetime | None


def of_rule(*, rule: PolicyRule) -> Effectiveness:
    """What the rule prevented, and how often its source came back before and after."""
    now = clock.now()
    prevented = Prevention.objects.filter(tenant_id=rule.tenant_id, rule_id=rule.pk).aggregate(
        active=Count("pk", filter=Q(mode=RuleMode.ACTIVE)),
        shadow=Count("pk", filter=Q(mode=RuleMode.SHADOW)),
        cost=Sum("cost_delta_cents", filter=Q(mode=RuleMode.ACTIVE)),
    )
    activity = _activity(rule)
    source = (
        Incident.objects.for_tenant(rule.tenant_id).filter(pk=rule.source_incident_id).first()
        if rule.source_incident_id is not None
        else None
    )
    before, after, why = _compare(source, activity, now=now)
    return Effectiveness(
        rule_id=rule.pk,
        preventions=prevented["active"],
        prevented_cost_cents=prevented["cost"],
        shadow_matches=prevented["shadow"],
        activated_at=activity.activated_at if activity else None,
        deactivated_at=activity.deactivated_at if activity else None,
        source_incident_id=rule.source_incident_id,
        signature=source.signature if source else None,
        before=before,
        after=after,
        explanation=(
            "Preventions are the reports that the rule kept out of the incidents while it was "
            "active, and their cost is what those that told one told together; shadow matches are "
            f"the reports that it would have kept out while it was in shadow. {why}"
        ),
    )


def _activity(rule: PolicyRule) -> _Activity | None:
    """When the rule was last active, from its revisions; None when it never was."""
    latest: _Activity | None = None
    for revision in (
        RuleRevision.objects.for_tenant(rule.tenant_id).filter(rule=rule).order_by("number")
    ):
        active = revision.is_active and revision.mode == RuleMode.ACTIVE
        running = latest is not None and latest.deactivated_at is None
        if active and not running:
            ended = latest.deactivated_at if latest else None
            latest = _Activity(revision.created_at, None, ended)
        elif running and not active:
            assert latest is not None  # noqa: S101 - it runs
            latest = _Activity(latest.activated_at, revision.created_at, latest.inactive_since)
    return latest


def _compare(
    source: Incident | None, activity: _Activity | None, *, now: datetime
) -> tuple[Period | None, Period | None, str]:
    if activity is None:
        return None, None, "Recurrences are not compared: the rule was never active."
    if source is None:
        return None, None, "Recurrences are not compared: the rule was not made from an incident."
    length = _length(source.tenant_id, activity, now=now)
    if length < SHORTEST:
        return (
            None,
            None,
            "Recurrences are not compared: there is less than an hour of data before the rule's "
            "activation, or since.",
        )
    at = activity.activated_at
    what, same = _same_failure(source)
    before = _period(source, same, at - length, at)
    after = _period(source, same, at, at + length)
    return (
        before,
        after,
        f"Recurrences are the incidents with {what}, that one among them, that started in the "
        f"{_words(length)} before the rule became active, and in as long a time from then on; "
        "their cost is what their alerts told together.",
    )


def _length(tenant: str, activity: _Activity, *, now: datetime) -> timedelta:
    """How far both ways there are data, and the rule did not act before."""
    began = activity.inactive_since
    if began is None:
        began = Incident.objects.for_tenant(tenant).aggregate(first=Min("started_at"))["first"]
    before = activity.activated_at - (began or activity.activated_at)
    after = min(now, activity.deactivated_at or now) - activity.activated_at
    return min(before, after, LONGEST)


def _same_failure(source: Incident) -> tuple[str, Q]:
    if source.signature is not None:
        return "the signature of the incident that it was made from", Q(signature=source.signature)
    return (
        "the trigger, group and error code of the incident that it was made from",
        Q(
            trigger_type=source.trigger_type,
            group_key=source.group_key,
            error_code=source.error_code,
        ),
    )


def _period(source: Incident, same: Q, since: datetime, until: datetime) -> Period:
    found = (
        Incident.objects.for_tenant(source.tenant_id)
        .filter(same, started_at__gte=since, started_at__lt=until)
        .aggregate(count=Count("pk"), cost=Sum("cost_delta_cents"))
    )
    return Period(since, until, found["count"], found["cost"] or Decimal(0))


def _words(length: timedelta) -> str:
    hours = length // timedelta(hours=1)
    if hours >= 48:
        return f"{hours // 24} days"
    return "hour" if hours == 1 else f"{hours} hours"
