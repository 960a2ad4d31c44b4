"""A histogram as an inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 16, 24, 44
_BINS = 40


def histogram_svg(values: Sequence[float], unit: str, counted: str) -> str:
    """Bars over equal intervals up to the 99th percentile; larger values are in the last bar, marked with ≥.

    The dashed lines are the median and the mean of all finite values. Colours come from the page's style sheet.

    Args:
        values: at least one finite number; others are left out.
        unit: title of the x axis.
        counted: title of the y axis, for instance "samples".
    """
    finite, edges, counts = binned(values)
    low, high = float(edges[0]), float(edges[-1])
    parts = [
        *_bars(counts, edges, unit, counted, cut=finite.max() > high),
        *_axes(edges, int(counts.max()), unit, counted, cut=finite.max() > high),
        *_markers({"median": float(np.median(finite)), "mean": float(finite.mean())}, low, high),
    ]
    label = escape(f"Histogram of {finite.size} {counted} over {unit}")
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="histogram" {box} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def binned(values: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The finite values, the edges of the bars, and their counts; the last one counts all that is above its lower edge."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = min(0.0, float(finite.min())), float(np.quantile(finite, 0.99))
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, _BINS + 1)
    return finite, edges, np.histogram(np.minimum(finite, high), edges)[0]


def _bars(counts: np.ndarray, edges: np.ndarray, unit: str, counted: str, cut: bool) -> list[str]:
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    full = _HEIGHT - _TOP - _BOTTOM
    bars = []
    for index, count in enumerate(counts):
        height = full * count / counts.max()
        upper = "" if cut and index == _BINS - 1 else f" to {edges[index + 1]:.3g}"
        interval = f"{'≥ ' if not upper else ''}{edges[index]:.3g}{upper} {unit}: {count} {counted}"
        bars.append(
            f'<rect class="bar" x="{_LEFT + index * width + 0.5:.1f}" y="{_HEIGHT - _BOTTOM - height:.1f}" '
            f'width="{width - 1:.1f}" height="{height:.1f}"><title>{escape(interval)}</title></rect>'
        )
    return bars


def _axes(edges: np.ndarray, most: int, unit: str, counted: str, cut: bool) -> list[str]:
    floor = _HEIGHT - _BOTTOM
    parts = [f'<path class="axis" d="M{_LEFT} {_TOP}V{floor}H{_WIDTH - _RIGHT}"/>']
    for value in edges[: -1 : _BINS // 4]:
        parts.append(_text(_x(value, edges[0], edges[-1]), floor + 16, f"{value:.3g}", "middle"))
    last = f"≥ {edges[-2]:.3g}" if cut else f"{edges[-1]:.3g}"
    parts.append(_text(_WIDTH - _RIGHT, floor + 16, last, "end"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, floor + 36, unit, "middle"))
    parts.append(_text(_LEFT - 6, _TOP + 4, str(most), "end"))
    parts.append(_text(_LEFT - 6, floor, "0", "end"))
    parts.append(_text(4, _TOP - 12, counted, "start"))
    return parts


def _markers(values: dict[str, float], low: float, high: float) -> list[str]:
    lines, labels = [], []
    for row, (name, value) in enumerate(values.items()):
        x = _x(min(value, high), low, high)
        lines.append(f'<path class="marker" d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        anchor, shift = ("end", -4) if x > 0.7 * _WIDTH else ("start", 4)
        labels.append(_text(x + shift, _TOP + 10 + 15 * row, f"{name} {value:.3g}", anchor))
    # Lines first: a label must not be crossed by its neighbour's line.
    return lines + labels


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)
