"""A line plot as an inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, groupby

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 44, 46
# Ticks on an axis, at least.
_FEWEST_STEPS = 4
SERIES = 6

# Neighbouring points that can be drawn: x, y and a label.
_Piece = list[tuple[float, float, str]]


@dataclass(frozen=True)
class Line:
    """A line through points.

    Args:
        x: of the points.
        y: of the points.
        name: shown where the pointer rests on the line.
        series: the name of its colour in the legend.
        labels: one per point, written beside it; with them, each point is marked.
    """

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    series: str = ""
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class _Axis:
    """Values between low and high, in powers of ten where it is logarithmic, drawn from `start` to `end`. whole: ticks at
    whole numbers only."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    whole: bool

    def pixel(self, value: float) -> float:
        return self.start + (self._scaled(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        decimal = _decimal_ticks(self.low, self.high) if self.log else []
        if len(decimal) > 1:
            return decimal
        low, high = (10.0**self.low, 10.0**self.high) if self.log else (self.low, self.high)
        step = _round_step((high - low) / _FEWEST_STEPS)
        step = max(step, 1.0) if self.whole else step
        return [step * number for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def line_plot_svg(lines: Sequence[Line], *, x: str, y: str, log_y: bool = False) -> str:
    """A line plot as an inline SVG.

    A line is broken where a value is not finite; without a single point, only axes are drawn. Each series gets one of SERIES
    colours, in order of appearance; colours come from the page's style sheet.

    Args:
        lines: to be drawn.
        x: title of the axis, with the unit.
        y: title of the axis, with the unit.
        log_y: logarithmic y; values not above zero are left out.
    """
    drawn = [(line, list(_pieces(line, log_y))) for line in lines]
    points = [point[:2] for _, pieces in drawn for piece in pieces for point in piece]
    whole = all(point[0].is_integer() for point in points)
    across = _axis([point[0] for point in points], _LEFT, _WIDTH - _RIGHT, whole=whole)
    up = _axis([point[1] for point in points], _HEIGHT - _BOTTOM, _TOP, log=log_y)
    series = list(dict.fromkeys(line.series for line, pieces in drawn if pieces))
    parts = [*_frame(across, up, x, y), *_legend(series)]
    for line, pieces in drawn:
        if pieces:
            placed = [[(across.pixel(a), up.pixel(b), label) for a, b, label in piece] for piece in pieces]
            parts += _drawn(line, placed, series.index(line.series) % SERIES)
    thin = " many" if len(lines) > 12 else ""
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    label = escape(f"{y} against {x}, {len(lines)} lines")
    return f'<svg class="plot{thin}" {box} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _pieces(line: Line, log_y: bool) -> Iterator[_Piece]:
    labels = line.labels or [""] * len(line.x)
    points = [(float(x), float(y), label) for x, y, label in zip(line.x, line.y, labels, strict=True)]

    def is_drawn(point: tuple[float, float, str]) -> bool:
        return math.isfinite(point[0]) and math.isfinite(point[1]) and not (log_y and point[1] <= 0)

    return (list(piece) for drawn, piece in groupby(points, is_drawn) if drawn)


def _axis(values: Sequence[float], start: float, end: float, *, log: bool = False, whole: bool = False) -> _Axis:
    scaled = [math.log10(value) if log else value for value in values] or [0.0, 1.0]
    low, high = min(scaled), max(scaled)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = 0.5 if log or low == 0 else 0.1 * abs(low)
        low, high = low - half, high + half
    room = 0.04 * (high - low)
    return _Axis(low - room, high + room, start, end, log, whole)


def _decimal_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between those of low and high; with 2 and 5 in between where there is room."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    digits = (1, 2, 5) if high - low < 2 else (1,)
    ticks = [digit * 10.0**decade for decade in decades[:: -(-len(decades) // 8)] for digit in digits]
    return [tick for tick in ticks if low <= math.log10(tick) <= high]


def _round_step(step: float) -> float:
    decade = 10.0 ** math.floor(math.log10(step))
    return max(digit * decade for digit in (1, 2, 5) if digit * decade <= step * (1 + 1e-9))


def _frame(across: _Axis, up: _Axis, x: str, y: str) -> list[str]:
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for tick in up.ticks():
        pixel = up.pixel(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {pixel:.1f}H{right}"/>')
        parts.append(_text(_LEFT - 6, pixel + 4, f"{tick:g}", "end"))
    for tick in across.ticks():
        parts.append(f'<path class="axis" d="M{across.pixel(tick):.1f} {floor}v4"/>')
        parts.append(_text(across.pixel(tick), floor + 18, f"{tick:g}", "middle"))
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{floor}H{right}"/>')
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 8, x, "middle"))
    parts.append(_text(4, 14, y, "start"))
    return parts


def _legend(series: Sequence[str]) -> list[str]:
    parts, left = [], _LEFT
    for number, name in enumerate(series):
        if name:
            parts.append(f'<path class="key series-{number % SERIES}" d="M{left} 30h18"/>')
            parts.append(_text(left + 24, 34, name, "start"))
            left += 44 + 7 * len(name)
    return parts


def _drawn(line: Line, pieces: Sequence[_Piece], colour: int) -> list[str]:
    title = f"<title>{escape(line.name)}</title>" if line.name else ""
    parts = [f'<path class="line series-{colour}" d="{"".join(map(_path, pieces))}">{title}</path>']
    if not line.labels:
        return parts
    points = list(chain.from_iterable(pieces))
    parts += [f'<circle class="series-{colour}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y, _ in points]
    # Last, so that a label is not crossed by a line or a mark.
    return parts + [_label(*point) for point in points]


def _label(x: float, y: float, text: str) -> str:
    return _text(x - 7, y - 7, text, "end") if x > 0.9 * _WIDTH else _text(x + 7, y - 7, text, "start")


def _path(piece: _Piece) -> str:
    # One point alone is a line of no length, which a round cap makes a dot.
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in piece) + ("h0" if len(piece) == 1 else "")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
