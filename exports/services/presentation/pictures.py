"""Where things lie in the drawings: axes, ticks, bars and marks, as fractions of the drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Literal, TypedDict

from exports.services.documents import Bundle, RunFacts, Series, SeriesPoint
from exports.services.wording import milliseconds

_UNITS = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}
# From so much on, an axis counts in so many.
_SIZES = (
    (10**15, "millions of billions of "),
    (10**9, "billions of "),
    (10**6, "millions of "),
    (10**5, "thousands of "),
)
# More bars than this are thinner than a reader can tell apart.
MOST_BARS = 72

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 7, 14, 28, 91, 182, 365, 3_650, 36_500, 365_000)),
)
# Of the bars of steps, every so many has its index written under it.
_COUNTS = (1, 2, 5, 10, 20)
# The room that a mark's flag takes, as a fraction of the picture's width.
_FLAG = 0.26


class Tick(TypedDict):
    at: float
    label: str


class Bar(TypedDict):
    x: float
    width: float
    height: float


class Chart(TypedDict):
    """A bar chart; ``x`` and heights run from 0 to 1."""

    title: str
    y_label: str
    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    bars: list[Bar]


class Mark(TypedDict):
    """A pole with a flag: ``lane`` counts from the axis upwards, ``side`` is where it flies."""

    at: float
    label: str
    time: str
    tone: str
    lane: int
    side: Literal["left", "right"]


class Timeline(TypedDict):
    """Milestones as marks over an axis of time, other events as dots on it."""

    x_ticks: list[Tick]
    x_label: str
    active_from: float
    active_to: float
    marks: list[Mark]
    dots: list[float]


def timeline(bundle: Bundle) -> Timeline | None:
    """The incident's course, or None when no milestone is recorded."""
    milestones, incident = bundle["milestones"], bundle["incident"]
    named: list[tuple[str, str, datetime]] = []
    first = bundle["selection"]["first_alert_at"]
    if first:
        named.append(("First alert", "neutral", _time(first)))
    for name, label, tone in (
        ("detected", "Detected", "high"),
        ("acknowledged", "Acknowledged", "medium"),
        ("contained", "Contained", "low"),
        ("resolved", "Resolved", "good"),
    ):
        milestone = milestones[name]  # type: ignore[literal-required]
        if milestone:
            named.append((label, tone, _time(milestone["at"])))
    if not named:
        return None
    named.sort(key=lambda mark: mark[2])
    events = [_time(entry["at"]) for entry in bundle["timeline"]]
    active = (_time(incident["started_at"]), _time(incident["last_seen_at"]))
    moments = [at for _, _, at in named] + events + list(active)
    axis = _Axis(min(moments), max(moments), margin=0.02)
    return {
        "x_ticks": axis.ticks(),
        "x_label": axis.label,
        "active_from": axis.place(active[0]),
        "active_to": axis.place(active[1]),
        "marks": _spread(named, axis),
        "dots": sorted({round(axis.place(at), 3) for at in events}),
    }


def calls_chart(series: Series) -> Chart | None:
    """Distinct calls per bucket, or None without any."""
    return _chart(series, "Calls affected", "calls", lambda point: Decimal(point["calls"]))


def cost_chart(series: Series) -> Chart | None:
    """Reported cost per bucket, or None without any."""
    return _chart(series, "Cost reported", "cents", lambda point: Decimal(point["cost_cents"]))


def steps_chart(run: RunFacts, key: Literal["cost_cents", "tokens"]) -> Chart | None:
    """What the steps of a run cost, or the tokens they took, one after the other; None when no
    step tells, or there are no two steps.
    """
    steps = run["trace"]["steps"] if run["trace"] else []
    if len(steps) < 2:
        return None
    together = -(-len(steps) // MOST_BARS)
    groups = [steps[number : number + together] for number in range(0, len(steps), together)]
    amounts = [sum((Decimal(step[key] or 0) for step in group), Decimal()) for group in groups]
    if not any(amounts):
        return None
    title, unit = {"cost_cents": ("Cost", "cents"), "tokens": ("Tokens", "tokens")}[key]
    every = next(n for n in _COUNTS if len(groups) <= 7 * n)
    width = 1 / len(groups)
    return _bars(
        amounts,
        title=f"{title} per {'step' if together == 1 else f'{together} steps'}",
        unit=unit,
        x_label="Step, by its index",
        x_ticks=[
            {"at": (number + 0.5) * width, "label": str(groups[number][0]["step_index"])}
            for number in range(0, len(groups), every)
        ],
    )


class _Axis:
    """An axis of time from one moment to another."""

    def __init__(
        self, start: datetime, end: datetime, *, narrow: bool = False, margin: float = 0.0
    ) -> None:
        if end - start < timedelta(seconds=1):
            end = min(start, datetime.max.replace(tzinfo=UTC) - timedelta(seconds=2)) + timedelta(
                seconds=1
            )
        self.start, self.seconds, self.margin = start, (end - start).total_seconds(), margin
        self.same_day = start.date() == end.date()
        most = 7 if not narrow else 6 if self.same_day else 3
        fitting = [s for s in _STEPS if self.seconds / s <= most] or [_STEPS[-1]]
        self.step = fitting[0]
        if len(self.ticks()) < 2:
            self.step = _STEPS[max(_STEPS.index(self.step) - 1, 0)]
        if self.step >= _DAY:
            self.label = "Date (UTC)"
        elif self.same_day:
            self.label = f"Time on {start:%Y-%m-%d} (UTC)"
        else:
            self.label = "Date and time (UTC)"

    def place(self, at: datetime) -> float:
        """Where a moment lies on the axis, from 0 to 1."""
        part = (at - self.start).total_seconds() / self.seconds
        return self.margin + min(max(part, 0.0), 1.0) * (1 - 2 * self.margin)

    def ticks(self) -> list[Tick]:
        epoch = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        passed = int((self.start - epoch).total_seconds())
        ticks: list[Tick] = []
        # Steps of several days begin at the first midnight.
        whole = min(self.step, _DAY)
        offset = -(-passed // whole) * whole
        while True:
            try:
                at = epoch + timedelta(seconds=offset)
            except OverflowError:
                return ticks
            if (at - self.start).total_seconds() > self.seconds:
                return ticks
            if at >= self.start:
                ticks.append({"at": self.place(at), "label": self._label(at)})
            offset += self.step

    def _label(self, at: datetime) -> str:
        if self.step >= _DAY:
            return at.strftime("%Y-%m-%d")
        clock = at.strftime("%H:%M:%S" if self.step < _MINUTE else "%H:%M")
        return clock if self.same_day else f"{at:%m-%d} {clock}"


def _spread(named: Sequence[tuple[str, str, datetime]], axis: _Axis) -> list[Mark]:
    """Give each flag a side and a height at which no pole crosses another's flag.

    ``named`` is in order of time. Flags fly to the right unless they would leave the picture; a
    flag before another one that flies left goes left as well. Of flags over one another to the
    right the earlier flies higher, to the left the later.
    """
    marks: list[Mark] = [
        {
            "at": axis.place(at),
            "label": label,
            "time": at.strftime("%m-%d %H:%M:%S"),
            "tone": tone,
            "lane": 0,
            "side": "right",
        }
        for label, tone, at in named
    ]
    edge = 1.0
    for mark in reversed(marks):
        if mark["at"] + _FLAG > edge and mark["at"] > _FLAG:
            mark["side"] = "left"
            edge = mark["at"]
    for number, mark in reversed(list(enumerate(marks))):
        if mark["side"] == "right":
            mark["lane"] = _lane_over(mark, marks[number + 1 :])
    for number, mark in enumerate(marks):
        if mark["side"] == "left":
            mark["lane"] = _lane_over(mark, marks[:number])
    return marks


def _lane_over(mark: Mark, others: Sequence[Mark]) -> int:
    """The lowest lane above those of ``others`` whose flags this one would touch."""
    low, high = _span(mark)
    touched = [
        other["lane"] for other in others if _span(other)[0] < high and low < _span(other)[1]
    ]
    return max(touched, default=-1) + 1


def _span(mark: Mark) -> tuple[float, float]:
    """From where to where a mark's flag flies."""
    if mark["side"] == "right":
        return mark["at"], mark["at"] + _FLAG
    return mark["at"] - _FLAG, mark["at"]


def _chart(
    series: Series, title: str, unit: str, value: Callable[[SeriesPoint], Decimal]
) -> Chart | None:
    points, seconds = _merged(series)
    amounts = [value(point) for point in points]
    if not any(amounts):
        return None
    start = _time(points[0]["at"])
    length = timedelta(seconds=seconds)
    axis = _Axis(start, start + length * len(points), narrow=True)
    per = _UNITS.get(seconds) or milliseconds(seconds * 1000)
    return _bars(
        amounts,
        title=f"{title} per {per}",
        unit=unit,
        x_label=axis.label,
        x_ticks=axis.ticks(),
    )


def _bars(
    amounts: Sequence[Decimal], *, title: str, unit: str, x_label: str, x_ticks: list[Tick]
) -> Chart:
    """A bar for each of the amounts, side by side; one of them at least is above 0."""
    size, times = next(((s, word) for s, word in _SIZES if max(amounts) >= s), (1, ""))
    amounts = [amount / size for amount in amounts]
    top, ticks = _scale(max(amounts), whole=size == 1 and unit in ("calls", "tokens"))
    width = 1 / len(amounts)
    return {
        "title": title,
        "y_label": times + unit,
        "x_label": x_label,
        "x_ticks": x_ticks,
        "y_ticks": ticks,
        "bars": [
            {"x": number * width, "width": width, "height": float(amount / top)}
            for number, amount in enumerate(amounts)
            if amount > 0
        ],
    }


def _merged(series: Series) -> tuple[list[SeriesPoint], int]:
    """The points, neighbours added up until there are few enough for bars; bucket length."""
    points, seconds = series["points"], series["bucket_seconds"]
    together = -(-len(points) // MOST_BARS)
    if together <= 1:
        return points, seconds
    merged: list[SeriesPoint] = []
    for number in range(0, len(points), together):
        group = points[number : number + together]
        merged.append(
            {
                "at": group[0]["at"],
                "alerts": sum(point["alerts"] for point in group),
                "calls": sum(point["calls"] for point in group),
                "cost_cents": str(sum(Decimal(point["cost_cents"]) for point in group)),
            }
        )
    return merged, seconds * together


def _scale(largest: Decimal, *, whole: bool) -> tuple[Decimal, list[Tick]]:
    """The top of an axis that holds ``largest`` with three to five round ticks from 0."""
    step = Decimal(1).scaleb(largest.adjusted())
    for factor in (Decimal("0.2"), Decimal("0.25"), Decimal("0.5"), Decimal(1), Decimal(2)):
        if largest / (step * factor) <= 5:
            step *= factor
            break
    if whole:
        step = max(step, Decimal(1))
    steps = int((largest / step).to_integral_value(ROUND_CEILING))
    top = step * steps
    return top, [
        {"at": float(step * number / top), "label": _number(step * number)}
        for number in range(steps + 1)
    ]


def _number(value: Decimal) -> str:
    normal = value.normalize()
    return f"{normal:,f}" if normal else "0"


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)
