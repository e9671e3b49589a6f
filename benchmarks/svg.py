"""Plots as SVG: bars with the spread of the rounds, and lines on logarithmic axes. No library, no script, no font."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.results import Spread

WIDTH = 760
MARGIN = 16
LABELS = 300
ROW = 24
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which people tell apart who see few colours."""

INK = "#333333"
GRID = "#dddddd"
PLOT_HEIGHT = 300
LEFT = 70
LEGEND = 210


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart."""

    label: str
    value: Spread
    shown: str
    colour: int = 0


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from 0; a thin line shows the least and the most of the rounds."""
    most = max((row.value.most for row in rows), default=1.0) or 1.0
    room = WIDTH - LABELS - 3 * MARGIN - 90
    height = 60 + ROW * len(rows) + MARGIN
    parts = [_text(MARGIN, 24, title, size=15), _text(MARGIN, 42, unit)]
    for number, row in enumerate(rows):
        top, scale = 54 + number * ROW, room / most
        x, middle = LABELS + MARGIN, top + ROW / 2
        parts += [
            _text(x - 8, middle + 4, row.label, anchor="end"),
            _box(x, top + 4, row.value.median * scale, ROW - 8, COLOURS[row.colour]),
            _line(x + row.value.least * scale, middle, x + row.value.most * scale, middle, INK),
            _text(x + row.value.most * scale + 6, middle + 4, row.shown),
        ]
    return _whole(height, parts)


def lines(title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[tuple[float, Spread]]]) -> str:
    """Lines by x, both axes logarithmic; each point with its least and most."""
    points = [it for found in series.values() for it in found]
    x_axis = _Axis.over((x for x, _ in points), LEFT, WIDTH - LEGEND)
    y_axis = _Axis.over((y for _, it in points for y in (it.least, it.most)), 60 + PLOT_HEIGHT, 60)
    parts = [_text(MARGIN, 24, title, size=15), _text(MARGIN, 46, y_label)]
    for at in x_axis.ticks:
        x = x_axis.place(at)
        parts += [_line(x, 60, x, 60 + PLOT_HEIGHT, GRID), _text(x, 78 + PLOT_HEIGHT, _short(at), anchor="middle")]
    for at in y_axis.ticks:
        y = y_axis.place(at)
        parts += [_line(LEFT, y, WIDTH - LEGEND, y, GRID), _text(LEFT - 6, y + 4, _short(at), anchor="end")]
    parts.append(_text((LEFT + WIDTH - LEGEND) / 2, 98 + PLOT_HEIGHT, x_label, anchor="middle"))
    for number, (name, found) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [(x_axis.place(x), y_axis.place(it.median)) for x, it in found]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts += [
            _line(x_axis.place(x), y_axis.place(it.least), x_axis.place(x), y_axis.place(it.most), colour)
            for x, it in found
        ]
        legend_y = 80 + 22 * number
        parts += [
            _box(WIDTH - LEGEND + 16, legend_y - 9, 12, 12, colour),
            _text(WIDTH - LEGEND + 34, legend_y + 2, name),
        ]
    return _whole(PLOT_HEIGHT + 112, parts)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Powers of ten between two places of the picture."""

    least: int
    most: int
    begins: float
    ends: float

    @classmethod
    def over(cls, values: Iterable[float], begins: float, ends: float) -> "_Axis":
        found = [it for it in values if it > 0] or [1.0]
        least = math.floor(math.log10(min(found)))
        return cls(least, max(least + 1, math.ceil(math.log10(max(found)))), begins, ends)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.least, self.most + 1)]

    def place(self, value: float) -> float:
        part = (math.log10(max(value, 10.0**self.least)) - self.least) / (self.most - self.least)
        return self.begins + part * (self.ends - self.begins)


def _short(value: float) -> str:
    for size, suffix in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _text(x: float, y: float, said: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{INK}">{escape(said)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _whole(height: float, parts: Sequence[str]) -> str:
    size = f"0 0 {WIDTH} {height:.0f}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="sans-serif" role="img">'
    return "\n".join([head, _box(0, 0, WIDTH, height, "white"), *parts, "</svg>", ""])
