"""Reading alerts: every rule, every form, and the fast path against the slow one."""

from __future__ import annotations

import json
from datetime import timedelta

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from config import clock
from config.api import strictjson
from config.errors import Invalid
from incidents.services import reports
from incidents.services.reports import Alert, Intake
from tests.incidents.alert_cases import BAD, EVERY_ALERT, GOOD, MALFORMED, Case, alert

NOW = clock.now()


def _seen(one: Alert) -> dict[str, object]:
    fields = {name: getattr(one, name) for name in Alert.__struct_fields__}
    raw = reports.metadata_text(one)
    # As jsonb takes it: null for none, and the last of equal keys.
    return fields | {"metadata": None if raw is None else json.loads(raw)}


def _errors(intake: Intake) -> list[tuple[int, str, str]]:
    return [(r.index, e.pointer, e.detail) for r in intake.refusals for e in r.errors]


@pytest.mark.parametrize("case", [*BAD, *MALFORMED])
def test_read_alert_names_what_is_wrong(case: Case) -> None:
    with pytest.raises(Invalid) as caught:
        reports.read_alert(case.alert, at=NOW)
    [error] = caught.value.errors
    assert error.pointer == case.pointer
    assert case.words in error.detail


@pytest.mark.parametrize("case", [*BAD, *MALFORMED])
def test_read_lines_names_the_bad_line_and_keeps_the_others(case: Case) -> None:
    intake = reports.read_lines([alert(), case.alert, alert(call_id="c")], at=NOW)
    assert [one.call_id for one in intake.alerts] == [None, "c"]
    [(index, pointer, detail)] = _errors(intake)
    assert (index, pointer) == (1, case.pointer)
    assert case.words in detail
    assert intake.received == 3


@pytest.mark.parametrize("case", BAD)
def test_read_batch_names_the_bad_alert_and_keeps_the_others(case: Case) -> None:
    body = b'{"alerts":[%b,%b,%b]}' % (alert(), case.alert, alert(call_id="c"))
    intake = reports.read_batch(body, at=NOW)
    assert [one.call_id for one in intake.alerts] == [None, "c"]
    [(index, pointer, detail)] = _errors(intake)
    assert (index, pointer) == (1, case.pointer)
    assert case.words in detail


@pytest.mark.parametrize("data", GOOD)
def test_read_alert_takes_what_just_holds(data: bytes) -> None:
    one = reports.read_alert(data, at=NOW)
    value = json.loads(data)
    expected = dict.fromkeys(Alert.__struct_fields__) | value
    if expected["occurred_at"]:
        moment = msgspec.convert(expected["occurred_at"], reports.Moment)
        expected["occurred_at"] = moment
    assert _seen(one) == expected


def test_read_alert_takes_a_time_five_minutes_ahead_and_no_more() -> None:
    last = NOW + timedelta(minutes=5)
    assert reports.read_alert(alert(occurred_at=last.isoformat()), at=NOW).occurred_at == last
    beyond = (last + timedelta(microseconds=1)).isoformat()
    with pytest.raises(Invalid, match="5 minutes ahead"):
        reports.read_alert(alert(occurred_at=beyond), at=NOW)


def test_read_alert_names_every_bad_field_but_not_endlessly() -> None:
    with pytest.raises(Invalid) as caught:
        reports.read_alert(b'{"call_id":" ","cost_delta_cents":1,"extra":1}', at=NOW)
    assert [error.pointer for error in caught.value.errors] == [
        "/extra",
        "/trigger_type",
        "/call_id",
        "/cost_delta_cents",
    ]
    many = alert(**{f"extra{n}": n for n in range(1000)})
    with pytest.raises(Invalid) as caught:
        reports.read_alert(many, at=NOW)
    assert len(caught.value.errors) == 20


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        (b"[]", "", "must be a JSON object"),
        (b"{}", "/alerts", "is required"),
        (b'{"alerts":[],"more":1}', "/more", "is not a known field"),
        (b'{"alerts":[]}', "/alerts", "1 to 1,000"),
        (b'{"alerts":null}', "/alerts", "1 to 1,000"),
        (b'{"alerts":{}}', "/alerts", "1 to 1,000"),
        (b'{"alerts":[%b]}' % b",".join([alert()] * 1001), "/alerts", "1 to 1,000"),
        (b'{"alerts":[%b' % alert(), "", "is not valid JSON"),
        (b"", "", "is not valid JSON"),
        (b'{"alerts":[%b]}' % alert(model=b'"\xff"'), "", "is not valid UTF-8"),
    ],
)
def test_read_batch_refuses_another_form(body: bytes, pointer: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        reports.read_batch(body, at=NOW)
    [error] = caught.value.errors
    assert error.pointer == pointer
    assert words in error.detail


def test_read_batch_takes_a_thousand_alerts_and_all_bad_ones() -> None:
    intake = reports.read_batch(b'{"alerts":[%b]}' % b",".join([alert()] * 1000), at=NOW)
    assert (len(intake.alerts), intake.received) == (1000, 1000)
    intake = reports.read_batch(b'{"alerts":[1,{},null]}', at=NOW)
    assert (intake.alerts, intake.received) == ([], 3)
    assert [refusal.index for refusal in intake.refusals] == [0, 1, 2]


# An alert's text with one piece cut out, doubled or replaced: mostly wrong, in every way.
_pieces = st.sampled_from(
    [
        *(b"", b'"', b"\\", b"{", b"}", b"[", b",", b":", b" ", b"-", b".", b"null", b"NaN"),
        *(b"1e99", b"1e999", b"9007199254740993", b"\\u0000", b"\\ud800", b"\xff", b"\xc3\xa9"),
        b"\x01",
    ]
)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from([one for one in EVERY_ALERT if len(one) < 1000]))
    start = draw(st.integers(0, len(data)))
    end = min(len(data), start + draw(st.integers(0, 3)))
    return data[:start] + draw(_pieces) + data[end:]


@hypothesis.settings(max_examples=600, deadline=None)
@hypothesis.given(data=_damaged())
def test_fast_and_slow_path_agree(data: bytes) -> None:
    """What msgspec takes in one pass, the explaining path takes too, and the same of it."""
    try:
        fast: object = _seen(reports.read_alert(data, at=NOW))
    except Invalid as error:
        fast = error.errors
    try:
        result = reports._explain(strictjson.parse(data), NOW + reports.MAX_AHEAD)
        slow: object = _seen(result) if isinstance(result, Alert) else tuple(result)
    except Invalid as error:
        slow = error.errors
    assert fast == slow


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(pieces=st.lists(_damaged(), min_size=1, max_size=6))
def test_read_batch_and_read_lines_agree(pieces: list[bytes]) -> None:
    wellformed = [piece for piece in pieces if b"\n" not in piece and not _is_malformed(piece)] or [
        alert()
    ]
    lines = reports.read_lines(wellformed, at=NOW)
    batch = reports.read_batch(b'{"alerts":[%b]}' % b",".join(wellformed), at=NOW)
    assert _errors(lines) == _errors(batch)
    assert list(map(_seen, lines.alerts)) == list(map(_seen, batch.alerts))


def _is_malformed(data: bytes) -> bool:
    try:
        strictjson.parse(data)
    except Invalid:
        return True
    return False
