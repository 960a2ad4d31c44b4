"""The page of the INR demonstration: images, table and trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from examples.inr.measure import Measured, cheapest_comparable, saved
from flowbench.report.charts import LinePlot
from flowbench.report.colour import error_scale_image, error_to_image
from flowbench.report.drawing import captioned, grid, scaled
from flowbench.report.html_table import html_metrics, html_table
from flowbench.report.line_plot import Line
from flowbench.report.page import captioned_image, note, plots, section, write_page

_CELL_WIDTH = 576


def table_rows(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """One row a way; the first is what "saved" is compared with."""
    return [_row(way, measured[0]) for way in measured]


def comparison(image: np.ndarray, dense: Measured, delta: Measured) -> np.ndarray:
    """The image, both fits, and a map of the multiplied elements per pixel under the delta rule; uint8 RGB.

    Args:
        image: (H, W, 3) uint8 RGB.
        dense: the dense solve.
        delta: a solve under a delta rule.
    """
    multiplied = delta.solved.multiplied.numpy().reshape(image.shape[:2])
    most = float(dense.solved.multiplied.max())
    part, _ = saved(delta, dense)
    cells = [
        captioned(scaled(image, _CELL_WIDTH), "photograph"),
        captioned(scaled(as_image(dense, image), _CELL_WIDTH), f"dense: {dense.psnr:.2f} dB"),
        captioned(scaled(as_image(delta, image), _CELL_WIDTH), f"{delta.way}: {delta.psnr:.2f} dB, {part:.1f}% saved"),
        captioned(
            scaled(error_to_image(multiplied, most), _CELL_WIDTH),
            f"elements multiplied, dense {most:.0f}",
            error_scale_image(_CELL_WIDTH // 8, 15),
        ),
    ]
    return grid(cells, rows=2)


def as_image(measured: Measured, image: np.ndarray) -> np.ndarray:
    """The colours of a solve as uint8 RGB of the photograph's size."""
    colour = measured.solved.colour.clamp(0, 1).numpy()
    return (255 * colour).round().astype(np.uint8).reshape(image.shape)


def write_inr_page(
    path: Path, image: np.ndarray, measured: Sequence[Measured], training: Sequence[float], settings: Mapping[str, Any]
) -> None:
    """Writes the page.

    Args:
        path: of the file.
        image: (H, W, 3) uint8 RGB.
        measured: with at least one delta rule; the cheapest good one is shown.
        training: PSNR of each epoch, dB.
        settings: of the network.

    Raises FlowBenchError where the page cannot be written.
    """
    dense, shown = measured[0], cheapest_comparable(measured)
    explanation = (
        "Saved: multiply-accumulates, against dense; solve: the hidden layer alone; all: with features, injection and "
        "output. The first step of any solve starts from zero and is not counted."
    )
    sections = [
        section("Pictures", captioned_image(comparison(image, dense, shown), f"{shown.way} against dense")),
        section("Ways of solving", html_table(table_rows(measured), name="ways"), note(explanation)),
        section("Quality against cost", plots(_trade_off(measured), _training_plot(training))),
        section("Settings", html_metrics(settings, name="settings")),
    ]
    write_page(path, "A photograph as an equilibrium", sections)


def _row(way: Measured, dense: Measured) -> dict[str, Any]:
    solve, everything = saved(way, dense)
    return {
        "way": way.way,
        "PSNR (dB)": round(way.psnr, 3),
        "against dense (dB)": round(way.psnr - dense.psnr, 3),
        "steps": round(way.solved.steps, 1),
        "residual": way.solved.residual,
        "solve saved (%)": round(solve, 1),
        "all saved (%)": round(everything, 1),
        "seconds": way.seconds,
    }


def _trade_off(measured: Sequence[Measured]) -> LinePlot:
    dense = measured[0]
    deltas = [(way.delta, way) for way in measured if way.delta is not None]
    lines = []
    for rule, group in groupby(deltas, lambda pair: f"{pair[0].rule}, {pair[0].memory}"):
        points = list(group)
        thresholds = [f"{delta.threshold:g}" for delta, _ in points]
        lost = [way.psnr - dense.psnr for _, way in points]
        lines.append(Line([saved(way, dense)[0] for _, way in points], lost, rule, rule, thresholds))
    return LinePlot(lines, x="multiply-accumulates of the solve saved (%)", y="PSNR against dense (dB)")


def _training_plot(training: Sequence[float]) -> LinePlot:
    return LinePlot([Line(range(1, len(training) + 1), training)], x="epoch", y="PSNR in training (dB)")
