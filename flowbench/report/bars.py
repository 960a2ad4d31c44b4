"""A bar chart over steps as an inline SVG, of the size of a line plot."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 44, 46
_GAP = 2


def step_bars_svg(heights: Sequence[float], *, x: str, y: str) -> str:
    """One bar per step. Colours come from the page's style sheet.

    Args:
        heights: of the bars of step 1, 2, ..., none below zero.
        x: title of the axis, with the unit.
        y: title of the axis, with the unit.

    Raises ValueError where there is no bar, or a height is negative or not finite.
    """
    if not heights or not all(0 <= height < float("inf") for height in heights):
        raise ValueError(f"heights={list(heights)}: give one or more finite numbers, none below zero.")
    label = escape(f"{y} against {x}, {len(heights)} bars")
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    parts = "".join([*_bars(heights, x, y), *_axes(heights, x, y)])
    return f'<svg class="plot histogram" {box} role="img" aria-label="{label}">{parts}</svg>'


def _bars(heights: Sequence[float], x: str, y: str) -> list[str]:
    width, full, highest = _bar_width(heights), _HEIGHT - _TOP - _BOTTOM, max(heights) or 1.0
    bars = []
    for index, value in enumerate(heights):
        height = full * value / highest
        label = escape(f"{x} {index + 1}: {value:.3g} {y}")
        bars.append(
            f'<rect class="bar" x="{_LEFT + index * width + _GAP / 2:.1f}" y="{_HEIGHT - _BOTTOM - height:.1f}" '
            f'width="{width - _GAP:.1f}" height="{height:.1f}"><title>{label}</title></rect>'
        )
    return bars


def _axes(heights: Sequence[float], x: str, y: str) -> list[str]:
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [f'<path class="axis" d="M{_LEFT} {_TOP}V{floor}H{right}"/>']
    every = -(-len(heights) // 20)
    for index in range(0, len(heights), every):
        middle = _LEFT + (index + 0.5) * _bar_width(heights)
        parts.append(_text(middle, floor + 18, str(index + 1), "middle"))
    parts.append(_text(_LEFT - 6, _TOP + 4, f"{max(heights):.3g}", "end"))
    parts.append(_text(_LEFT - 6, floor + 4, "0", "end"))
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 8, x, "middle"))
    parts.append(_text(4, 14, y, "start"))
    return parts


def _bar_width(heights: Sequence[float]) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / len(heights)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
