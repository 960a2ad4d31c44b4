"""Numbers as colours: steps over an image, and shares by row and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import cv2
import numpy as np

from flowbench.report.colour import UNKNOWN_GREY

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 560, 118, 16, 44, 46
_ROW = 16
_SCALE_WIDTH, _SCALE_CELLS = 120, 60


def steps_to_image(steps: np.ndarray, last: int) -> np.ndarray:
    """Colours steps (H, W) as (H, W, 3) uint8 RGB: from dark blue at step 1 to yellow at `last`, later ones like it.

    Values that are not finite are grey, a colour that the scale lacks.
    """
    finite = np.isfinite(steps)
    share = np.clip((np.where(finite, steps, 1) - 1) / max(last - 1, 1), 0, 1)
    image = _viridis(share)
    image[~finite] = UNKNOWN_GREY
    return image


def steps_scale_image(width: int, height: int) -> np.ndarray:
    """The colours of `steps_to_image` from step 1 (left) to the last (right), (height, width, 3) uint8 RGB."""
    return _viridis(np.tile(np.linspace(0, 1, width), (height, 1)))


def share_map_svg(rows: Mapping[str, Sequence[float]], *, x: str, title: str) -> str:
    """Cells coloured by shares from 0 to 1 as an inline SVG. Text colours come from the page's style sheet.

    Args:
        rows: shares at step 1, 2, ..., by name.
        x: title of the axis.
        title: of the colour scale.
    """
    steps = max(len(shares) for shares in rows.values())
    floor = _TOP + _ROW * len(rows)
    width = (_WIDTH - _LEFT - _RIGHT) / steps
    cells, parts = _scale_colours(), [*_scale_texts(title), *_axis(steps, width, floor, x)]
    for number, (name, shares) in enumerate(rows.items()):
        top = _TOP + _ROW * number
        parts.append(_text(_LEFT - 6, top + _ROW - 4, name, "end"))
        cells += _cells(name, shares, x, top, width)
    # Crisp, so that no seam shows between two cells.
    parts.append(f'<g shape-rendering="crispEdges">{"".join(cells)}</g>')
    box = f'viewBox="0 0 {_WIDTH} {floor + _BOTTOM}"'
    label = escape(f"{title} against {x}, {len(rows)} rows")
    return f'<svg class="plot" {box} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _cells(name: str, shares: Sequence[float], x: str, top: int, width: float) -> list[str]:
    return [
        f'<rect x="{_LEFT + width * index:.2f}" y="{top}" width="{width:.2f}" height="{_ROW - 1}" fill="{colour}">'
        f"<title>{escape(f'{name}, {x} {index + 1}: {100 * share:.1f}%')}</title></rect>"
        for index, (share, colour) in enumerate(zip(shares, _hex(shares), strict=True))
    ]


def _scale_texts(title: str) -> list[str]:
    right = _WIDTH - _RIGHT
    left = right - _SCALE_WIDTH - 40
    return [_text(4, 20, title, "start"), _text(left - 4, 20, "0%", "end"), _text(right, 20, "100%", "end")]


def _scale_colours() -> list[str]:
    left, width = _WIDTH - _RIGHT - _SCALE_WIDTH - 40, _SCALE_WIDTH / _SCALE_CELLS
    return [
        f'<rect x="{left + index * width:.2f}" y="10" width="{width:.2f}" height="12" fill="{colour}"/>'
        for index, colour in enumerate(_hex(np.linspace(0, 1, _SCALE_CELLS)))
    ]


def _axis(steps: int, width: float, floor: int, x: str) -> list[str]:
    every = next(
        distance for distance in (1, 2, 5, 10, 20, 50, 100, 1000) if steps <= 15 * distance or distance == 1000
    )
    shown = sorted({1, *range(every, steps + 1, every)})
    parts = [_text(_LEFT + (step - 0.5) * width, floor + 16, str(step), "middle") for step in shown]
    return [*parts, _text((_LEFT + _WIDTH - _RIGHT) / 2, floor + _BOTTOM - 10, x, "middle")]


def _hex(shares: Sequence[float] | np.ndarray) -> list[str]:
    return ["#" + bytes(colour.tolist()).hex() for colour in _viridis(np.asarray(shares, dtype=float)[None])[0]]


def _viridis(share: np.ndarray) -> np.ndarray:
    levels = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
