"""Every figure that insights tell, against plain Python over the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import clock
from incidents.enums import CauseType, Outcome, ResolutionMethod, Severity, Status
from incidents.models import Incident, SeverityTarget
from incidents.services import (
    aggregation,
    metrics,
    patterns,
    postmortem,
    recurrence,
    rollup,
    trends,
)
from incidents.services import statistics as stats
from incidents.services.metrics import window
from incidents.services.reports import Report
from tests.factories.reading import example, histories, incident

pytestmark = pytest.mark.django_db
checked = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

MS = timedelta(milliseconds=1)


def label(incident: Incident) -> str:
    return incident.category or "uncategorized"


def within(incidents: Iterable[Incident], since: datetime) -> list[Incident]:
    return [incident for incident in incidents if incident.started_at >= since]


def to_acknowledge(incidents: Iterable[Incident]) -> list[timedelta]:
    return [i.acknowledged_at - i.created_at for i in incidents if i.acknowledged_at]


def to_resolve(incidents: Iterable[Incident]) -> list[timedelta]:
    return [i.resolved_at - i.created_at for i in incidents if i.resolved_at]


def ms(exact: Fraction) -> float:
    return float(round(exact, 3))


def mean_ms(times: list[timedelta]) -> float | None:
    if not times:
        return None
    return ms(Fraction(sum(times, timedelta()) // timedelta(microseconds=1), 1_000 * len(times)))


def median_ms(times: list[timedelta]) -> float | None:
    if not times:
        return None
    return ms(median(Fraction(t // timedelta(microseconds=1), 1_000) for t in times))


def tally(values: Iterable[Any], names: Iterable[Any]) -> dict[str, int]:
    counts = Counter(values)
    return {
        getattr(name, "label", name) if isinstance(name, Severity) else str(name): counts[name]
        for name in names
    }


@given(histories, st.sampled_from((1, 24, 24 * 40)), st.booleans())
@checked
def test_statistics_of_any_history(history: Any, hours: int, fold: bool) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        since = clock.now() - timedelta(hours=hours)
        found = asdict(stats.of_tenant(tenant=tenant, since=since))
        expected = within(incidents, since)
        assert found.pop("config") == asdict(tenant.aggregation)
        assert found == {
            "since": since,
            "total": len(expected),
            **tally((i.status for i in expected), Status),
            **tally((i.severity for i in expected), Severity),
            "calls_affected": sum(i.calls_affected for i in expected),
        }


@given(histories, st.sampled_from((1, 7, 30, 90)), st.booleans(), st.data())
@checked
def test_metrics_of_any_history(history: Any, days: int, fold: bool, data: st.DataObject) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        since = clock.now() - timedelta(days=days)
        expected = within(incidents, since)
        targets: dict[Severity, tuple[int | None, int | None]] = {}
        seconds = st.none() | st.sampled_from((1, 60, 61, 600, 3_600))
        for severity in data.draw(st.sets(st.sampled_from(Severity))):
            targets[severity] = (data.draw(seconds), data.draw(seconds))
            SeverityTarget.objects.create(
                tenant=tenant,
                severity=severity,
                acknowledge_seconds=targets[severity][0],
                resolve_seconds=targets[severity][1],
            )

        with mock.patch.object(window, "read_sums", wraps=window.read_sums) as read_sums:
            found = metrics.of_window(tenant=tenant, window_days=days)
        # Nobody else is here: what the sums say of the times is what the times then are.
        assert read_sums.call_count == 1

        assert (found.window_days, found.since, found.total) == (days, since, len(expected))
        assert found.by_status == tally((i.status for i in expected), Status)
        assert found.by_severity == tally((i.severity for i in expected), Severity)
        for times, spans in (
            (found.time_to_acknowledge_ms, to_acknowledge(expected)),
            (found.time_to_resolve_ms, to_resolve(expected)),
        ):
            assert times == metrics.Times(len(spans), mean_ms(spans), median_ms(spans))
        unresolved = [i.started_at for i in incidents if i.status != Status.RESOLVED]
        if unresolved:
            oldest = min(unresolved)
            age = Fraction((clock.now() - oldest) // timedelta(microseconds=1), 1_000)
            assert found.oldest_unresolved == metrics.Oldest(oldest, ms(age))
        else:
            assert found.oldest_unresolved is None
        assert [level.severity for level in found.service_levels] == [
            "critical", "high", "medium", "low",
        ]  # fmt: skip
        for level in found.service_levels:
            severity = Severity.named(level.severity)
            of_severity = [i for i in expected if i.severity == severity]
            acknowledge, resolve = targets.get(severity, (None, None))
            assert level.acknowledge == service_level(
                of_severity,
                acknowledge,
                lambda i: i.acknowledged_at,
                lambda i: i.status == Status.OPEN,
            )
            assert level.resolve == service_level(
                of_severity,
                resolve,
                lambda i: i.resolved_at,
                lambda i: i.status != Status.RESOLVED,
            )


def service_level(
    incidents: list[Incident],
    seconds: int | None,
    done_at: Callable[[Incident], datetime | None],
    waits: Callable[[Incident], bool],
) -> metrics.ServiceLevel:
    if seconds is None:
        return metrics.ServiceLevel()
    target = timedelta(seconds=seconds)
    met = breached = pending = 0
    for one in incidents:
        done = done_at(one)
        if done is not None:
            met += done - one.created_at <= target
            breached += done - one.created_at > target
        elif waits(one):
            breached += clock.now() - one.created_at > target
            pending += clock.now() - one.created_at <= target
    if not met + breached + pending:
        return metrics.ServiceLevel(seconds)
    return metrics.ServiceLevel(seconds, met, breached, pending)


@given(histories, st.sampled_from((7, 90)), st.booleans())
@checked
def test_distribution_of_any_history(history: Any, days: int, fold: bool) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        found = metrics.distribution(tenant=tenant, window_days=days)
        expected = within(incidents, clock.now() - timedelta(days=days))
        categories = Counter(label(i) for i in expected)
        assert found.total == len(expected)
        assert list(found.by_category.items()) == sorted(
            categories.items(), key=lambda item: (-item[1], item[0])
        )
        assert found.by_severity == tally((i.severity for i in expected), Severity)
        assert found.by_status == tally((i.status for i in expected), Status)
        assert found.by_cause_type == tally((i.cause_type for i in expected), CauseType)
        assert found.by_resolution_method == tally(
            (i.resolution_method for i in expected), ResolutionMethod
        )


@given(histories, st.sampled_from((1, 30, 90)), st.sampled_from((1, 20)), st.booleans())
@checked
def test_cost_impact_of_any_history(history: Any, days: int, limit: int, fold: bool) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        found = metrics.cost_impact(tenant=tenant, baseline_days=days, limit=limit)
        groups: dict[str, list[Incident]] = {}
        for one in within(incidents, clock.now() - timedelta(days=days)):
            groups.setdefault(label(one), []).append(one)
        expected = sorted(
            (
                (
                    category,
                    len(members),
                    sum(i.calls_affected for i in members),
                    sum((i.cost_delta_cents for i in members), Decimal(0)),
                )
                for category, members in groups.items()
            ),
            key=lambda group: (-group[3], -group[1], group[0]),
        )
        assert [
            (c.category, c.incidents, c.calls_affected, c.cost_delta_cents)
            for c in found.categories
        ] == expected[:limit]
        for cost in found.categories:
            exact = Fraction(cost.cost_delta_cents) / cost.incidents
            assert abs(Fraction(cost.mean_cost_delta_cents) - exact) <= Fraction(1, 20_000)
        total = sum((group[3] for group in expected), Decimal(0))
        assert found.cost_delta_cents == (total if expected else None)
        assert found.incidents == sum(group[1] for group in expected)


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


def first_day(moment: datetime, granularity: trends.Granularity, tz: ZoneInfo) -> date:
    day = moment.astimezone(tz).date()
    if granularity is trends.Granularity.DAY:
        return day
    if granularity is trends.Granularity.MONTH:
        return date(day.year, day.month, 1)
    return date.fromisocalendar(*day.isocalendar()[:2], 1)


@given(
    histories,
    st.sampled_from((7, 30, 90)),
    st.sampled_from(trends.Granularity),
    st.sampled_from(ZONES),
    st.booleans(),
)
@checked
def test_trends_of_any_history(
    history: Any, days: int, granularity: trends.Granularity, zone: str, fold: bool
) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        tz = ZoneInfo(zone)
        since = clock.now() - timedelta(days=days)
        found = trends.trend(tenant=tenant, window_days=days, granularity=granularity, tz=tz)
        costs = trends.cost_trend(tenant=tenant, window_days=days, granularity=granularity, tz=tz)
        groups: dict[date, list[Incident]] = {}
        for one in within(incidents, since):
            groups.setdefault(first_day(one.started_at, granularity, tz), []).append(one)
        days_seen = [found_period.period.first_day for found_period in found.periods]
        # Every period there is between the first and the last, once, in order.
        moment, expected_days = since, []
        while moment <= clock.now():
            day = first_day(moment, granularity, tz)
            if day not in expected_days:
                expected_days.append(day)
            moment += timedelta(hours=1)
        assert days_seen == expected_days
        assert set(groups) <= set(days_seen)
        for one in found.periods:
            members = groups.get(one.period.first_day, [])
            assert one.incidents == len(members)
            assert {name: getattr(one, name) for name in ("low", "medium", "high", "critical")} == (
                tally((i.severity for i in members), Severity)
            )
            assert one.resolved == len(to_resolve(members))
            assert one.mean_time_to_acknowledge_ms == mean_ms(to_acknowledge(members))
            assert one.mean_time_to_resolve_ms == mean_ms(to_resolve(members))
            assert all(one.period.start <= i.started_at < one.period.end for i in members)
        for cost in costs.periods:
            members = groups.get(cost.period.first_day, [])
            assert cost.incidents == len(members)
            assert cost.calls_affected == sum(i.calls_affected for i in members)
            if not members:
                assert cost.cost_delta_cents is cost.mean_cost_delta_cents is None
                continue
            total = sum((i.cost_delta_cents for i in members), Decimal(0))
            assert cost.cost_delta_cents == total
            exact = Fraction(total) / len(members)
            assert abs(Fraction(cost.mean_cost_delta_cents) - exact) <= Fraction(1, 20_000)


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 9, 6), "America/Santiago", 23),  # its midnight does not exist
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
        (date(2026, 11, 1), "America/Havana", 25),  # its midnight comes twice
    ],
)
def test_periods_of_days_when_clocks_change(day: date, zone: str, hours: float) -> None:
    tz = ZoneInfo(zone)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=tz)
    (period,) = trends.periods_of(noon, noon, trends.Granularity.DAY, tz)
    assert period.first_day == day
    assert period.end - period.start == timedelta(hours=hours)
    assert period.start.astimezone(tz).date() == day
    assert (period.start - timedelta(microseconds=1)).astimezone(tz).date() < day


@given(
    histories, st.sampled_from((1, 30, 90)), st.integers(2, 4), st.sampled_from((1, 20)),
    st.booleans(),
)  # fmt: skip
@checked
def test_recurrence_of_any_history(
    history: Any, days: int, threshold: int, limit: int, fold: bool
) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        groups: dict[tuple[str, str | None], list[Incident]] = {}
        expected = within(incidents, clock.now() - timedelta(days=days))
        for one in expected:
            groups.setdefault((label(one), one.resolution_method), []).append(one)
        found = recurrence.of_tenant(
            tenant=tenant, baseline_days=days, threshold=threshold, limit=limit
        )
        ordered = sorted(
            (item for item in groups.items() if len(item[1]) >= threshold),
            key=lambda item: (-len(item[1]), item[0][0], item[0][1] or ""),
        )
        assert [asdict(group) for group in found.groups] == [
            recurring(*key, members) for key, members in ordered[:limit]
        ]
        one = recurrence.of_category(
            tenant=tenant, category="a", baseline_days=days, threshold=threshold
        )
        members = [i for i in expected if label(i) == "a"]
        assert one.occurrences == len(members)
        assert one.is_recurring == (len(members) >= threshold)
        assert one.distinct_days == len({i.started_at.date() for i in members})
        assert one.first_at == min((i.started_at for i in members), default=None)
        assert one.last_at == max((i.started_at for i in members), default=None)
        per_day = Fraction(len(members), one.distinct_days or 1)
        assert one.occurrences_per_day == (float(round(per_day, 2)) if members else None)
        assert [asdict(group) for group in one.groups] == [
            recurring(*key, found)
            for key, found in sorted(
                (item for item in groups.items() if item[0][0] == "a"),
                key=lambda item: (-len(item[1]), item[0][1] or ""),
            )
        ]


def recurring(category: str, method: str | None, members: list[Incident]) -> dict[str, Any]:
    days = {i.started_at.astimezone(UTC).date() for i in members}
    latest = sorted(members, key=lambda i: (i.started_at, i.pk), reverse=True)
    return {
        "category": category,
        "resolution_method": method,
        "occurrences": len(members),
        "distinct_days": len(days),
        "occurrences_per_day": float(round(Fraction(len(members), len(days)), 2)),
        "first_at": latest[-1].started_at,
        "last_at": latest[0].started_at,
        "incident_ids": [i.pk for i in latest[:5]],
    }


@given(histories, st.sampled_from((1, 24, 168)), st.sampled_from((1, 10)), st.booleans())
@checked
def test_patterns_of_any_history(history: Any, hours: int, limit: int, fold: bool) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        found = patterns.detect(tenant=tenant, window_hours=hours, limit=limit)
        recent = within(incidents, clock.now() - timedelta(hours=hours))
        assert found.incidents == len(recent)
        expected = []
        clusters = Counter(label(i) for i in recent)
        for category, count in sorted(clusters.items(), key=lambda item: (-item[1], item[0])):
            if count >= 3:
                members = [i for i in recent if label(i) == category]
                expected.append(
                    (
                        "category_cluster",
                        category,
                        count,
                        newest(members),
                        min(0.5 + 0.1 * (count - 3), 0.95),
                    )
                )
        spikes = Counter(
            i.severity for i in within(incidents, clock.now() - timedelta(hours=1))
            if i.status == Status.OPEN and i.severity >= Severity.HIGH
        )  # fmt: skip
        for severity, count in sorted(spikes.items(), key=lambda item: (-item[1], -item[0])):
            if count >= 3:
                members = [
                    i for i in within(incidents, clock.now() - timedelta(hours=1))
                    if i.status == Status.OPEN and i.severity == severity
                ]  # fmt: skip
                base = 0.8 if severity == Severity.CRITICAL else 0.7
                expected.append(
                    (
                        "severity_spike",
                        Severity(severity).label,
                        count,
                        newest(members),
                        min(base + 0.05 * (count - 3), 0.98),
                    )
                )
        runs = {run for specification in history for run in specification["runs"]}
        cascades = {
            run: [
                one for one, specification in zip(incidents, history, strict=True)
                if run in specification["runs"] and one in recent
            ]
            for run in runs
        }  # fmt: skip
        for run, members in sorted(cascades.items(), key=lambda item: (-len(item[1]), item[0])):
            if (count := len(members)) >= 2:
                confidence = min(0.75 + 0.1 * (count - 2), 0.95)
                expected.append(("cascade_failure", run, count, newest(members), confidence))
        kinds = ("category_cluster", "severity_spike", "cascade_failure")
        listed = [
            one for kind in kinds for one in [e for e in expected if e[0] == kind][:limit]
        ]  # fmt: skip
        assert [
            (p.pattern_type.value, p.dimension, p.count, p.incident_ids, p.confidence)
            for p in found.patterns
        ] == [(*rest, pytest.approx(confidence)) for *rest, confidence in listed]


def newest(members: list[Incident]) -> list[Any]:
    ordered = sorted(members, key=lambda i: (i.started_at, i.pk), reverse=True)
    return [i.pk for i in ordered[:10]]


@given(histories, st.sampled_from((1, 30, 90)), st.booleans())
@checked
def test_category_learnings_of_any_history(history: Any, days: int, fold: bool) -> None:
    with example(history) as (tenant, incidents):
        if fold:
            rollup.fold()
        found = postmortem.of_category(tenant=tenant, category="uncategorized", baseline_days=days)
        baseline = within(incidents, clock.now() - timedelta(days=days))
        members = [i for i in baseline if label(i) == "uncategorized"]
        resolved = [i for i in members if i.status == Status.RESOLVED]
        distinct = len({i.started_at.date() for i in members})
        assert (found.occurrences, found.resolved) == (len(members), len(resolved))
        assert found.distinct_days == distinct
        if members:
            assert found.resolution_rate == pytest.approx(len(resolved) / len(members), abs=1e-4)
            per_day = float(round(Fraction(len(members), distinct), 2))
            assert found.occurrences_per_day == per_day
        else:
            assert found.resolution_rate is found.occurrences_per_day is None
        assert found.mean_time_to_resolve_ms == mean_ms(to_resolve(members))
        assert {use.resolution_method: use.count for use in found.resolution_methods} == Counter(
            i.resolution_method for i in resolved
        )
        confidences: dict[str, list[float]] = {}
        for insight in found.insights:
            confidences.setdefault(insight.kind.value, []).append(insight.confidence)
            behind = {
                "seldom_resolved": [i for i in members if i.status != Status.RESOLVED],
                "frequent": members,
            }.get(insight.kind.value, resolved)
            if insight.kind.value == "method_works":
                said = insight.statement.rstrip(".").rpartition(" ")[2]
                method = {"automatically": "auto", "hand": "manual"}.get(said, said)
                behind = [i for i in resolved if i.resolution_method == method]
            assert insight.incident_ids == newest(behind)
        expected: dict[str, list[float]] = {}
        if members:
            r = len(resolved) / len(members)
            if 10 * len(resolved) >= 8 * len(members):
                expected["mostly_resolved"] = [0.7 + 0.2 * r]
            if 2 * len(resolved) < len(members):
                expected["seldom_resolved"] = [0.6 + 0.2 * (1 - r)]
            q = len(members) / distinct
            if q > 2:
                expected["frequent"] = [min(0.6 + 0.05 * q, 0.9)]
        if resolved:
            h = sum(to_resolve(resolved), timedelta()) / len(resolved) / timedelta(hours=1)
            if h > 24:
                expected["slow_to_resolve"] = [min(0.6 + h / 100, 0.85)]
            if h < 1:
                expected["quick_to_resolve"] = [0.75]
            uses = Counter(i.resolution_method for i in resolved)
            if works := sorted((n for n in uses.values() if n >= 3), reverse=True):
                expected["method_works"] = [0.6 + min(0.05 * n, 0.3) for n in works]
        assert confidences == {
            kind: [pytest.approx(value, abs=1e-4) for value in values]
            for kind, values in expected.items()
        }


@given(histories, st.data())
@checked
def test_similar_of_any_history(history: Any, data: st.DataObject) -> None:
    with example(history) as (tenant, incidents):
        about = incident(
            tenant,
            signature=data.draw(st.sampled_from((None, "v1:x", "v1:z"))),
            error_code=data.draw(st.sampled_from((None, "E"))),
            category=data.draw(st.sampled_from((None, "a", "b"))),
        )
        since = about.started_at - timedelta(days=90)
        alike: list[tuple[int, Incident]] = []
        for one in within(incidents, since):
            shared = [
                name
                for name in ("signature", "error_code", "category")
                if getattr(about, name) is not None and getattr(one, name) == getattr(about, name)
            ]
            if one.status == Status.RESOLVED and shared:
                alike.append((("signature", "error_code", "category").index(shared[0]), one))
        alike.sort(key=lambda item: (item[1].started_at, item[1].pk), reverse=True)
        alike.sort(key=lambda item: item[0])
        expected = alike[:5]

        found = postmortem.of_incident(incident=about)

        assert [(one.similarity.rank, one.incident_id) for one in found.similar] == [
            (rank, one.pk) for rank, one in expected
        ]
        assert [one.time_to_resolve_ms for one in found.similar] == [
            mean_ms(to_resolve([one])) for _, one in expected
        ]
        spans = [one for _, one in expected]
        insights = {insight.kind.value: insight for insight in found.insights}
        methods = Counter(one.resolution_method for one in spans)
        most = max(methods.values(), default=0)
        assert ("same_method" in insights) == (most >= 2)
        if most >= 2:
            same = insights["same_method"]
            assert same.confidence == pytest.approx(min(0.5 + 0.1 * most, 0.9))
            assert len(same.incident_ids) == most
            (method,) = {one.resolution_method for one in spans if one.pk in same.incident_ids}
            assert methods[method] == most
        assert ("time_to_resolve" in insights) == (len(spans) >= 2)
        if len(spans) >= 2:
            mean = insights["time_to_resolve"]
            assert mean.confidence == pytest.approx(min(0.5 + 0.1 * len(spans), 0.8))
            assert mean.incident_ids == [one.pk for one in spans]


@given(
    st.lists(
        st.tuples(
            st.sampled_from((0, 1, 59, 60, 61, 90, 23 * 60, 24 * 60, 48 * 60)),
            st.integers(0, 3),
            st.integers(0, 2),
        ),
        max_size=8,
    ),
    st.sampled_from((1, 60, 24 * 60, 47 * 60 + 21)),
)
@checked
def test_accounting_of_any_history(received: list[tuple[int, int, int]], minutes: int) -> None:
    with example([]) as (tenant, _):
        told: list[tuple[datetime, dict[str, int]]] = []
        for number, (age, calls, rejected) in enumerate(received):
            at = clock.now() - timedelta(minutes=age)
            reports = [
                # The last of each is a repeat of the one before.
                Report(trigger_type="freeze", call_id=f"{number}-{min(n, 1)}")
                for n in range(calls)
            ]
            with clock.pretend(at):
                absorbed = aggregation.absorb(tenant=tenant, alerts=reports, rejected=rejected)
            told.append((at, {o.label: absorbed.counts.get(o, 0) for o in Outcome}))
        since = clock.now() - timedelta(minutes=minutes)
        hour = since.replace(minute=0, second=0, microsecond=0)
        found = stats.accounting(tenant=tenant, since=since)
        assert (found.since, found.counted_from) == (since, hour)
        expected = {o.label: sum(c[o.label] for at, c in told if at >= hour) for o in Outcome}
        assert {o.label: getattr(found, o.label) for o in Outcome} == expected
        assert (
            found.received
            == sum(expected.values())
            == sum(
                calls + rejected
                for (_, calls, rejected), (at, _) in zip(received, told, strict=True)
                if at >= hour
            )
        )
