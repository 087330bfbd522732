"""Small plots as inline SVG, drawn from numbers alone: no script, no request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

HEIGHT = 160
LEFT = 56
BOTTOM = 28
WIDTH = 640


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, bottom up: its stretches as (class, y, height); what it says on hovering."""

    x: float
    width: float
    parts: list[tuple[str, float, float]]
    title: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over an axis of time, with the numbers of the other axis; ``unit`` is what it counts."""

    title: str
    unit: str
    bars: list[Bar]
    ticks: list[tuple[float, str]]
    labels: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    names: list[tuple[str, str]] = field(default_factory=list)
    empty: bool = False

    @property
    def base(self) -> int:
        return self.height - BOTTOM

    @property
    def right(self) -> int:
        return self.width - 8


@dataclass(frozen=True, slots=True)
class Column:
    """What one bar stands for: its values by class, what it says, what it links to."""

    values: Sequence[tuple[str, float]]
    label: str
    title: str
    href: str = ""


def bars(
    columns: Sequence[Column],
    *,
    title: str,
    unit: str,
    names: Sequence[tuple[str, str]] = (),
    labels: int = 6,
) -> Chart:
    """A plot of stacked bars, at most ``labels`` of which are named below."""
    totals = [sum(value for _, value in column.values) for column in columns]
    top = _ceiling(max(totals, default=0))
    base = HEIGHT - BOTTOM
    room = base - 10
    step = (WIDTH - 8 - LEFT) / max(len(columns), 1)
    drawn = []
    for place, column in enumerate(columns):
        y = float(base)
        parts = []
        for name, value in column.values:
            if value:
                height = max(value / top * room, 1.0)
                y -= height
                parts.append((name, round(y, 1), round(height, 1)))
        drawn.append(
            Bar(
                round(LEFT + place * step + step * 0.1, 1),
                round(step * 0.8, 1),
                parts,
                column.title,
                column.href,
            )
        )
    every = max(-(-len(columns) // labels), 1)
    return Chart(
        title,
        unit,
        drawn,
        ticks=[(round(base - share * room, 1), _number(top * share)) for share in (0.0, 0.5, 1.0)],
        labels=[
            (round(LEFT + (place + 0.5) * step, 1), column.label)
            for place, column in enumerate(columns)
            if place % every == 0
        ],
        names=list(names),
        empty=not any(totals),
    )


def sparkline(values: Sequence[int], *, width: int = 80, height: int = 20) -> str:
    """Small bars as one path, none where nothing is; they share the width."""
    top = max([*values, 1])
    step = width / max(len(values), 1)
    bars = []
    for place, value in enumerate(values):
        if value:
            tall = max(round(value / top * (height - 2), 1), 2.0)
            bars.append(f"M{place * step:g} {height - 1}v-{tall:g}h{step - 1:g}v{tall:g}z")
    return "".join(bars)


def _ceiling(value: float) -> float:
    """The next number above that halves well: 2, 4, 10, 20, 40, 100 and so on."""
    if value <= 0:
        return 2.0
    size = 1.0
    while True:
        for factor in (1, 2, 4, 6):
            if value <= (bound := size * factor) and bound >= 2:
                return bound
        size *= 10


def _number(value: float) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
