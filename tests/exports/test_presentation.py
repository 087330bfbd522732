from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.services import documents, fonts
from exports.services.presentation import findings, pictures, text, views
from exports.services.presentation.text import BREAK, Exact, clean
from tests.factories import bundles

# --- text


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("plain", "plain"),
        ("a\r\nb\u2028c\x85d", "a\nb\nc\nd"),
        ("a\tb", "a    b"),
        ("nul\x00", "nul[U+0000]"),
        ("\u202egnp.exe", "[U+202E]gnp.exe"),
        ("\ufffe", "[U+FFFE]"),
        ("中", "[U+4E2D]"),
        ("\U0001f9ff", "[U+1F9FF]"),
        ("\u2764\ufe0f", "\u2764"),
        ("שלום عالم Ελλάδα Привет", "שלום عالم Ελλάδα Привет"),
        ("\ud800", "[U+D800]"),
    ],
)
def test_clean_keeps_only_what_can_be_drawn(given_: str, shown: str) -> None:
    assert clean(given_) == shown


@given(st.text(st.characters(), max_size=80))
def test_clean_leaves_nothing_that_the_fonts_lack(raw: str) -> None:
    shown = clean(raw)
    assert {ord(character) for character in shown} <= fonts.drawable() | {ord("\n")}
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]", shown)
    assert clean(shown) == shown


def test_clean_gives_long_words_places_to_break() -> None:
    shown = clean("x" * 2_000 + " short")
    assert max(len(part) for part in re.split(f"[ {BREAK}]", shown)) <= 22
    assert shown.replace(BREAK, "") == "x" * 2_000 + " short"
    assert clean("RATE_LIMIT_EXCEEDED") == "RATE_LIMIT_EXCEEDED"
    assert BREAK in clean("RATE_LIMIT_EXCEEDED", longest=10)


def test_clean_never_breaks_before_a_combining_mark() -> None:
    shown = clean("e\u0301" * 50)
    for part in shown.split(BREAK):
        assert not unicodedata.category(part[0]).startswith("M")
    assert BREAK in shown


def test_clean_leaves_a_hash_as_it_is() -> None:
    assert clean(Exact("f" * 64)) == "f" * 64


def test_clean_all_measures_long_words_by_their_column() -> None:
    table = {
        "columns": [{"width": 20}, {"width": -1}],
        "rows": [["x" * 15, "x" * 15], [{"lines": ["y" * 15, {"mono": "z" * 15}]}, ""]],
    }
    cleaned = text.clean_all(table)
    assert BREAK in cleaned["rows"][0][0]
    assert cleaned["rows"][0][1] == "x" * 15
    lines = cleaned["rows"][1][0]["lines"]
    assert BREAK in lines[0]
    assert BREAK in lines[1]["mono"]


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        ("plain", False),
        ("Zoë, Łódź, Việt — “so” … 3 → 12", False),
        ("e\u0301", True),
        ("Ελλάδα", True),
        ("שלום", True),
        ("a\u200db", False),
        ("\U0001d11e", True),
    ],
)
def test_is_intricate_tells_scripts_whose_letters_change(given_: str, found: bool) -> None:
    assert text.is_intricate(given_) is found


def test_unknown_characters_counts_each_once() -> None:
    assert text.unknown_characters(["中文中", {"a": "\x00 plain שלום"}]) == 3
    assert text.unknown_characters(["plain\n\ttext"]) == 0


# --- pictures


def series(values: list[int], *, seconds: int = 60) -> Any:
    return {
        "bucket_seconds": seconds,
        "points": [
            {"at": bundles.moment(seconds * i), "alerts": n, "calls": n, "cost_cents": f"{n}.5"}
            for i, n in enumerate(values)
        ],
    }


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=300),
    st.sampled_from([1, 60, 900, 3_600, 86_400, 86_400 * 30]),
)
def test_charts_keep_everything_inside(values: list[int], seconds: int) -> None:
    chart = pictures.calls_chart(series(values, seconds=seconds))
    if not any(values):
        assert chart is None
        return
    assert chart is not None
    assert len(chart["bars"]) <= pictures.MOST_BARS
    assert max(bar["height"] for bar in chart["bars"]) > 0.3
    for bar in chart["bars"]:
        assert 0 < bar["height"] <= 1
        assert 0 <= bar["x"] < bar["x"] + bar["width"] <= 1 + 1e-9
    assert 2 <= len(chart["y_ticks"]) <= 6
    assert chart["y_ticks"][0] == {"at": 0.0, "label": "0"}
    assert chart["y_ticks"][-1]["at"] == 1
    assert len({tick["label"] for tick in chart["y_ticks"]}) == len(chart["y_ticks"])
    assert 1 <= len(chart["x_ticks"]) <= 8
    assert all(0 <= tick["at"] <= 1 for tick in chart["x_ticks"])


def test_calls_chart_has_units_and_whole_ticks() -> None:
    chart = pictures.calls_chart(series([0, 1, 2]))
    assert chart is not None
    assert chart["title"] == "Calls affected per minute"
    assert (chart["y_label"], chart["x_label"]) == ("calls", "Time on 2026-11-16 (UTC)")
    assert [tick["label"] for tick in chart["y_ticks"]] == ["0", "1", "2"]
    assert [bar["height"] for bar in chart["bars"]] == [0.5, 1.0]


def test_cost_chart_counts_in_thousands_when_there_are_many() -> None:
    chart = pictures.cost_chart(series([2_000_000, 0, 500_000], seconds=300))
    assert chart is not None
    assert chart["title"] == "Cost reported per 5 min"
    assert chart["y_label"] == "millions of cents"
    assert chart["y_ticks"][-1]["label"] == "2.5"


def test_charts_add_up_neighbours_when_there_are_too_many() -> None:
    chart = pictures.calls_chart(series([1] * 720))
    assert chart is not None
    assert len(chart["bars"]) == 72
    assert chart["title"] == "Calls affected per 10 min"
    assert chart["y_ticks"][-1]["label"] == "10"


def steps_of(amounts: list[int | None]) -> Any:
    steps = [
        {"step_index": 3 * number, "tokens": amount, "cost_cents": None}
        for number, amount in enumerate(amounts)
    ]
    return {"trace": {"steps": steps}}


@settings(max_examples=100)
@given(st.lists(st.none() | st.integers(0, 2**53 - 1), max_size=500))
def test_steps_chart_keeps_everything_inside(amounts: list[int | None]) -> None:
    chart = pictures.steps_chart(steps_of(amounts), "tokens")
    if len(amounts) < 2 or not any(amounts):
        assert chart is None
        return
    assert chart is not None
    assert 1 <= len(chart["bars"]) <= pictures.MOST_BARS
    assert all(0 < bar["height"] <= 1 for bar in chart["bars"])
    assert 2 <= len(chart["x_ticks"]) <= 8
    assert chart["x_ticks"][0]["label"] == "0"
    assert all(0 < tick["at"] < 1 for tick in chart["x_ticks"])


def test_steps_chart_adds_up_neighbours_when_there_are_too_many() -> None:
    chart = pictures.steps_chart(steps_of([1] * 144), "tokens")
    assert chart is not None
    assert (chart["title"], chart["y_label"]) == ("Tokens per 2 steps", "tokens")
    assert [tick["label"] for tick in chart["x_ticks"]] == [
        "0",
        "120",
        "240",
        "360",
    ]


def test_view_draws_the_steps_of_a_run_that_failed_once() -> None:
    bundle: Any = bundles.evidence()
    bundle["series"]["points"] = bundle["series"]["points"][:1]
    bundle["runs"] = bundle["runs"][:1]
    view = views.evidence(bundle)
    assert [chart["title"] for chart in view["charts"]] == ["Tokens per step", "Cost per step"]
    assert view["unplotted"].endswith("The bars show the steps of the run instead.")


def poles(moments: list[float]) -> Any:
    """The incident's course with marks so many seconds after the start."""
    bundle = bundles.evidence()
    names = ["detected", "acknowledged", "contained", "resolved"]
    for name, seconds in zip(names, moments[1:], strict=True):
        bundle["milestones"][name]["at"] = bundles.moment(seconds)
    bundle["selection"]["first_alert_at"] = bundles.moment(moments[0])
    bundle["timeline"] = []
    return pictures.timeline(bundle)  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.lists(st.integers(0, 100_000), min_size=5, max_size=5))
def test_timeline_flags_keep_clear_of_one_another(moments: list[int]) -> None:
    marks = poles([float(m) for m in moments])["marks"]
    assert [mark["at"] for mark in marks] == sorted(mark["at"] for mark in marks)
    for number, mark in enumerate(marks):
        assert 0 <= mark["at"] <= 1
        low, high = pictures._span(mark)
        assert -0.001 <= low < high <= 1.001
        for other in marks[number + 1 :]:
            begin, end = pictures._span(other)
            if begin < high - 1e-9 and low < end - 1e-9:
                # The flags are over one another, and no pole stands before the lower one.
                assert mark["lane"] != other["lane"]
                if mark["side"] == other["side"]:
                    assert (mark["lane"] > other["lane"]) == (mark["side"] == "right")


def test_timeline_is_none_when_nothing_was_recorded() -> None:
    assert pictures.timeline(bundles.bare()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("start", ["1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"])
def test_timeline_bears_the_ends_of_time(start: str) -> None:
    bundle: Any = bundles.evidence()
    for milestone in bundle["milestones"].values():
        milestone["at"] = start
    bundle["selection"]["first_alert_at"] = start
    bundle["timeline"] = []
    bundle["incident"] |= {"started_at": start, "last_seen_at": start}
    same = pictures.timeline(bundle)
    assert same is not None
    bundle["incident"]["last_seen_at"] = "9999-12-31T23:59:59.999Z"
    bundle["incident"]["started_at"] = "1970-01-01T00:00:00.000Z"
    everything = pictures.timeline(bundle)
    assert everything is not None
    assert len(everything["x_ticks"]) < 12


# --- views


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def shown(bundle: Any) -> str:
    return "\n".join(texts(views.view(bundle, sha256="0" * 64)))


@pytest.mark.parametrize("kind", bundles.KINDS)
def test_view_says_what_was_not_found(kind: str) -> None:
    said = shown(bundles.KINDS[kind](bundles.bare()))
    assert "No gap is known." in said
    assert "Nothing was redacted." in said
    if kind != "debrief":
        for sentence in (
            "No event was recorded.",
            "No run is linked to this incident.",
            "No failure was recorded.",
            "No policy violation was recorded.",
            "No evidence was recorded.",
            "No rule of this kind was in force.",
            "No lesson was recorded.",
        ):
            assert sentence in said


def tables(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "columns" in value:
            yield value
        for item in value.values():
            yield from tables(item)
    elif isinstance(value, list):
        for item in value:
            yield from tables(item)


@pytest.mark.parametrize("kind", bundles.KINDS)
def test_view_names_columns_on_one_line(kind: str) -> None:
    found = list(tables(views.view(bundles.KINDS[kind](), sha256="0" * 64)))
    assert len(found) >= 4
    for table in found:
        width = {column["name"]: column["width"] for column in table["columns"]}
        shares = sum(-share for share in width.values() if share < 0)
        rest = 174 - sum(fixed for fixed in width.values() if fixed > 0)
        for name, given_ in width.items():
            room = given_ if given_ > 0 else rest * -given_ / shares
            # The template gives a header one line; a letter of it is at most so wide on average.
            assert len(name) * 1.6 + 2.9 <= room, name


def test_view_shows_an_evidence_bundle_whole() -> None:
    bundle = bundles.evidence(content=True)
    said = shown(bundle)
    for pointer in (
        "/selection/rule",
        "/incident/id",
        "/evidence/0/sha256",
        "/attestation/statement",
        "/attestation/checks/0/detail",
        "/gaps/0/detail",
        "/timeline/4/description",
        "/failures/0/error_message",
        "/violations/0/reason",
        "/rules_in_force/0/name",
        "/lessons/0/title",
    ):
        assert bundles.at(bundle, pointer) in said.replace(BREAK, ""), pointer
    for step in bundle["runs"][0]["trace"]["steps"]:
        assert step["sha256"][:16] in said
        assert step["content"] in said.replace(BREAK, "")


def test_view_shows_the_ends_of_a_long_trace_and_the_violation() -> None:
    bundle: Any = bundles.evidence(steps=5_000)
    bundle["runs"][0]["trace"]["violation_step_index"] = 2_500
    view = views.view(bundle, sha256="0" * 64)
    trace = next(s for s in view["sections"] if s["title"].startswith("Trace"))
    numbers = [row[0] for row in trace["table"]["rows"]]
    assert len(numbers) <= 70
    assert {"0", "2500", "4999"} <= set(numbers)
    assert trace["table"]["rows"][trace["table"]["marked"][0]][0] == "2500"
    told = [row[1] for row in trace["table"]["rows"] if row[0] == "⋯"]
    assert (
        sum(int(words.split()[0].replace(",", "")) for words in told) + len(numbers) - len(told)
        == 5_000
    )


def test_view_tells_what_it_leaves_out() -> None:
    bundle: Any = bundles.evidence()
    bundle["timeline"] *= 100
    bundle["runs"] = [bundle["runs"][0]] * 300
    said = shown(bundle)
    assert "400 further events can be read in the attached JSON." in said
    assert "100 further runs can be read in the attached JSON." in said
    assert "288 further traces can be read in the attached JSON." in said


def test_view_numbers_the_fields_behind_each_statement() -> None:
    bundle: Any = bundles.executive()
    view = views.view(bundle, sha256="0" * 64)
    listed = view["sections"][-1]["table"]["rows"]
    numbers = {row[0] for row in listed}
    for part in ("summary", "impact", "because", "recommendations"):
        for sentence in view[part]:
            assert set(sentence["sources"].split(", ")) <= numbers
    for _, field, says in listed:
        bundles.at(bundle, field["mono"].replace(BREAK, ""))
        assert says


def test_view_says_that_an_incident_is_synthetic() -> None:
    bundle = bundles.evidence()
    bundle["incident"]["is_synthetic"] = True
    assert "This incident is synthetic: a drill, not a real event." in shown(bundle)


def test_moments_of_a_bundle_are_in_utc() -> None:
    at = datetime.fromisoformat(bundles.moment())
    assert at.utcoffset() == timedelta(0)


def test_factories_have_the_documented_shape() -> None:
    shapes: dict[str, Any] = {
        "evidence": documents.Bundle,
        "soc2": documents.Soc2Bundle,
        "debrief": documents.ExecutiveBundle,
    }
    for kind, shape in shapes.items():
        for facts in (bundles.evidence(content=True), bundles.bare()):
            made = bundles.KINDS[kind](facts)
            assert msgspec.convert(made, shape, strict=True) == made


def test_view_says_what_it_does_not_plot() -> None:
    bundle: Any = bundles.evidence()
    view = views.evidence(bundle)
    assert (len(view["charts"]), view["unplotted"]) == (2, "")
    for point in bundle["series"]["points"]:
        point["cost_cents"] = "0.0000"
    view = views.evidence(bundle)
    assert (len(view["charts"]), view["unplotted"]) == (1, "No alert reports a cost.")


@pytest.mark.parametrize(
    ("cost", "said"), [("0.0000", "no cost reported."), ("355.2500", "355.25 cents reported")]
)
def test_view_plots_nothing_that_happened_all_at_once(cost: str, said: str) -> None:
    bundle: Any = bundles.evidence()
    bundle["series"]["points"] = bundle["series"]["points"][:1]
    bundle["cost"]["incident_cents"] = cost
    view = views.evidence(bundle)
    # Two runs are in it, so that there is no one trace to draw instead.
    assert view["charts"] == []
    assert "249 alerts, 203 calls, " + said in view["unplotted"]
    bundle["series"]["points"] = []
    assert views.evidence(bundle)["unplotted"].startswith("No alert is kept")


def test_view_shows_only_what_steps_tell_of_themselves() -> None:
    bundle: Any = bundles.evidence()

    def trace() -> Any:
        sections = views.evidence(bundle)["sections"]
        return next(s for s in sections if s["title"].startswith("Trace"))

    assert [c["name"] for c in trace()["table"]["columns"]][2:-1] == [
        "Status",
        "ms",
        "Tokens",
        "Cents",
    ]
    for step in bundle["runs"][0]["trace"]["steps"]:
        step |= {"status": None, "tokens": None, "cost_cents": None}
    found = trace()
    assert [c["name"] for c in found["table"]["columns"]][2:-1] == ["ms"]
    assert "No step tells its status, its tokens or its cost." in found["text"][0]
    assert {len(row) for row in found["table"]["rows"]} <= {1, 4}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"code":429,"nested":{"a":[1,2]}}', ["code: 429", 'nested: {"a": [1, 2]}']),
        ("[1,2]", ["[1,2]"]),
        ("{}", ["{}"]),
        ("no JSON", ["no JSON"]),
    ],
)
def test_view_tells_a_payload_name_by_name(data: str, told: list[str]) -> None:
    bundle: Any = bundles.evidence()
    bundle["evidence"][0]["data"] = data
    shown_lines = findings.evidence(bundle)["table"]["rows"][0][2]["lines"]  # type: ignore[index]
    assert [line["mono"] if isinstance(line, dict) else line for line in shown_lines[:-1]] == told
    assert shown_lines[-1]["mono"] == bundle["evidence"][0]["sha256"]


def test_view_counts_the_names_of_a_payload_that_it_leaves_out() -> None:
    bundle: Any = bundles.evidence()
    bundle["evidence"][0]["data"] = json.dumps({f"name_{n}": n for n in range(40)})
    assert "28 further names can be read in the attached JSON." in shown(bundle)


def test_view_says_once_what_is_missing_of_many() -> None:
    bundle: Any = bundles.evidence()
    bundle["gaps"] = [
        {"subject": f"run r{n}", "detail": "No trace was received for this run."} for n in range(3)
    ]
    gaps = next(s for s in views.evidence(bundle)["sections"] if s["title"] == "Gaps")
    assert gaps["table"]["rows"] == [
        ["run r0, run r1, run r2", "No trace was received for this run."]
    ]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("2027-01-01T00:00:00Z", "2026-10-01 to 2026-12-31"),
        ("2027-01-01T12:00:00Z", "2026-10-01 to 2027-01-01 12:00:00 UTC, that moment not included"),
    ],
)
def test_view_names_the_last_day_of_the_period(end: str, said: str) -> None:
    bundle: Any = bundles.soc2()
    bundle["period"] = {"start": "2026-10-01T00:00:00Z", "end": end}
    assert views.soc2(bundle)["period"] == said


def test_view_says_until_when_a_rule_was_in_force() -> None:
    bundle: Any = bundles.evidence()
    assert "from 2026-11-07 18:15:04 UTC\nand when this was made" in shown(bundle)
    bundle["rules_in_force"][0]["in_force_until"] = bundles.moment(60)
    assert "until 2026-11-16 18:16:04 UTC" in shown(bundle)
