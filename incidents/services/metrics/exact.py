"""Reading the exact times of a few slots, and what still waits for something."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from incidents.enums import Status
from incidents.services import rollup
from incidents.services.metrics.spread import Question
from incidents.services.metrics.sums import ACKNOWLEDGE, KINDS, RESOLVE, Targets

_FAR: Final = 2**63 - 1


class Moved(Exception):
    """The incidents changed between two statements."""


def _times_in_slots(kind: str) -> str:
    return f"""
        SELECT q.place, t.* FROM unnest(
            %s::int[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[]
        ) AS q(place, severity, low, high, target, first) CROSS JOIN LATERAL (
            SELECT count(*), count(*) FILTER (WHERE i.{kind}_us <= q.target),
                (array_agg(i.{kind}_us ORDER BY i.{kind}_us)
                    FILTER (WHERE q.target IS NULL))[q.first + 1 : q.first + 2]
            FROM incidents_incident i
            WHERE i.tenant_id = %s AND i.{kind}_us >= q.low AND i.{kind}_us < q.high
                AND i.started_at >= %s AND (q.severity IS NULL OR i.severity = q.severity)
        ) t
    """  # noqa: S608 - only our own names are interpolated


_TIMES: Final = f"{_times_in_slots(ACKNOWLEDGE)} UNION ALL {_times_in_slots(RESOLVE)}"


def _middle_of(kind: str) -> str:
    return f"""
        SELECT '{kind}', cardinality(times), times[%s:%s] FROM (
            SELECT array_agg(us) AS times FROM (
                SELECT i.{kind}_us AS us FROM incidents_incident i
                WHERE i.tenant_id = %s AND i.{kind}_us >= %s AND i.{kind}_us < %s
                    AND i.started_at >= %s
                ORDER BY i.{kind}_us
            ) ordered
        ) gathered
    """  # noqa: S608 - only our own names are interpolated


# The middle times alone, where nothing else is asked.
_MIDDLES: Final = f"{_middle_of(ACKNOWLEDGE)} UNION ALL {_middle_of(RESOLVE)}"

Answers = dict[tuple[str, int | None], tuple[int, list[int]]]


def ask(tenant: str, since: datetime, questions: list[Question], *, strict: bool) -> Answers:
    """How many in the slots met the target, and the middle times, by kind and severity.

    With ``strict``, Moved if there are not as many as the sums just said.
    """
    if not questions:
        return {}
    if all(question.target_us is None for question in questions):
        return _ask_middles(tenant, since, questions, strict=strict)
    parameters: list[Any] = []
    for kind in KINDS:
        places = [place for place, question in enumerate(questions) if question.kind == kind]
        asked = [questions[place] for place in places]
        parameters += [
            places,
            [question.severity for question in asked],
            [_bounds(question)[0] for question in asked],
            [_bounds(question)[1] for question in asked],
            [question.target_us for question in asked],
            [question.first for question in asked],
            tenant,
            since,
        ]
    answers: Answers = {}
    for place, count, met, middle in rollup.read(_TIMES, parameters):
        question = questions[place]
        if strict and count != question.expected:
            raise Moved
        answers[question.kind, question.severity] = (met, middle or [])
    return answers


def _ask_middles(
    tenant: str, since: datetime, questions: list[Question], *, strict: bool
) -> Answers:
    asked = {question.kind: question for question in questions}
    parameters: list[Any] = []
    for kind in KINDS:
        low, high, first = _FAR, _FAR, 0  # nothing
        if kind in asked:
            (low, high), first = _bounds(asked[kind]), asked[kind].first
        parameters += [first + 1, first + 2, tenant, low, high, since]
    answers: Answers = {}
    for kind, count, middle in rollup.read(_MIDDLES, parameters):
        if kind not in asked:
            continue
        if strict and (count or 0) != asked[kind].expected:
            raise Moved
        answers[kind, None] = (0, middle or [])
    return answers


def _bounds(question: Question) -> tuple[int, int]:
    return (
        -_FAR if question.low is None else question.low,
        _FAR if question.high is None else question.high,
    )


_WAITING: Final = f"""
    SELECT i.severity,
        count(*) FILTER (WHERE i.status = '{Status.OPEN}' AND i.created_at < t.acknowledge_by),
        count(*) FILTER (WHERE i.status = '{Status.OPEN}' AND i.created_at >= t.acknowledge_by),
        count(*) FILTER (WHERE i.created_at < t.resolve_by),
        count(*) FILTER (WHERE i.created_at >= t.resolve_by)
    FROM unnest(%s::smallint[], %s::timestamptz[], %s::timestamptz[])
        AS t(severity, acknowledge_by, resolve_by)
    JOIN incidents_incident i ON i.severity = t.severity
    WHERE i.tenant_id = %s AND i.started_at >= %s AND i.status <> '{Status.RESOLVED}'
    GROUP BY i.severity
"""  # noqa: S608 - only our own constants are interpolated


def read_waiting(
    tenant: str, since: datetime, now: datetime, targets: Targets
) -> dict[tuple[int, str], tuple[int, int]]:
    """Of the incidents that still wait for something: how many are overdue, how many are not."""

    def latest(kind: str) -> list[datetime | None]:
        return [
            None if (seconds := of_severity[kind]) is None else now - timedelta(seconds=seconds)
            for of_severity in targets.values()
        ]

    rows = rollup.read(
        _WAITING, [list(targets), latest(ACKNOWLEDGE), latest(RESOLVE), tenant, since]
    )
    waiting = {}
    for severity, ack_overdue, ack_pending, overdue, pending in rows:
        waiting[severity, ACKNOWLEDGE] = (ack_overdue, ack_pending)
        waiting[severity, RESOLVE] = (overdue, pending)
    return waiting
