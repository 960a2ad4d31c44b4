"""Convergence of the dimensions of one pair's solve, and the work that a delta rule would leave out, on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.report.charts import LinePlot, ShareMap, StepBars
from flowbench.report.colour import flow_to_image, longest_flow, wheel_image
from flowbench.report.drawing import BACKGROUND, CAPTION_HEIGHT, captioned, grid, scaled
from flowbench.report.heat_map import steps_scale_image, steps_to_image
from flowbench.report.html_table import html_table
from flowbench.report.line_plot import Line
from flowbench.report.page import Plots, captioned_image, note, plots, section, write_page

_CELL_WIDTH = 590


@dataclass(frozen=True)
class FirstSteps:
    """First steps of one part of the state under one tolerance; infinite where there is none.

    Args:
        tolerance: of a dimension's change.
        by_pixel: (H, W), over the image, the upper median over the channels.
        by_channel: (3, C), the quartiles over the pixels.
        counts: share of the dimensions whose first step is 1, 2, ...
        never: share of the dimensions that have none.
    """

    tolerance: float
    by_pixel: np.ndarray
    by_channel: np.ndarray
    counts: np.ndarray
    never: float


@dataclass(frozen=True)
class PartFigures:
    """Statistics of one part of the state.

    Args:
        name: of the part, in words.
        channel_energy: (C,), shares of the squared change.
        first_steps: one per tolerance.
        changes: norm of the change, per step.
        relative_changes: relative norm of the change, per step.
        cumulative_energy: share of all squared change up to this step, per step.
    """

    name: str
    channel_energy: np.ndarray
    first_steps: Sequence[FirstSteps]
    changes: np.ndarray
    relative_changes: np.ndarray
    cumulative_energy: np.ndarray


@dataclass(frozen=True)
class RuleFigures:
    """The shares that one rule does not propagate.

    Args:
        name: of the rule.
        counted: what the shares are of.
        layers: by name, one share per step, from 0 to 1.
    """

    name: str
    counted: str
    layers: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ConvergencePage:
    """The content of the page.

    Args:
        title: plain text.
        notes: on the pair and the solver.
        image: (H, W, 3) uint8 RGB.
        flow: (H, W, 2) pixels.
        parts: of the state.
        rules: of the delta rule.
        rule_notes: on the rules.
        summary: rows of the table at the top.
        left_out: rows of the table of the rules.
    """

    title: str
    notes: Sequence[str]
    image: np.ndarray
    flow: np.ndarray
    parts: Sequence[PartFigures]
    rules: Sequence[RuleFigures]
    rule_notes: Sequence[str]
    summary: Sequence[Mapping[str, Any]]
    left_out: Sequence[Mapping[str, Any]]


def write_convergence_page(path: str | Path, page: ConvergencePage, figures: str | None = None) -> None:
    """Writes one self-contained HTML file.

    Args:
        path: of the file.
        page: its content.
        figures: see `write_page`.

    Raises FlowBenchError, naming the file, when it cannot be written.
    """
    sections = [
        section("The solve", html_table(page.summary, name="summary"), *map(note, page.notes)),
        section("First step under a tolerance, by pixel", *_step_images(page)),
        section("First step under a tolerance, by channel", *_channels(page)),
        section("First step under a tolerance, all dimensions", *_counts(page)),
        section("Energy and residuals", *_traces(page)),
        section("What a delta rule leaves out, by layer and step", *_left_out(page)),
    ]
    write_page(path, page.title, sections, figures)


def _step_images(page: ConvergencePage) -> list[str]:
    longest = longest_flow(page.flow)
    wheel = wheel_image(CAPTION_HEIGHT - 2, background=BACKGROUND)
    cells = [
        captioned(scaled(page.image, _CELL_WIDTH), "image 1"),
        captioned(
            scaled(flow_to_image(page.flow), _CELL_WIDTH), f"flow at the last step, scale {longest:.1f} px", wheel
        ),
    ]
    scale = steps_scale_image(_CELL_WIDTH // 6, CAPTION_HEIGHT // 2)
    for part, first in _all_first_steps(page):
        last = _last_drawn(first.by_pixel)
        caption = f"{part.name}, under {first.tolerance:g}: step 1 to {last}"
        cells.append(captioned(scaled(steps_to_image(first.by_pixel, last), _CELL_WIDTH), caption, scale))
    explanation = (
        "Below the images: the step by which half of a pixel's channels, of the coordinates both, have been under the "
        "tolerance, on a scale of its own for each map: dark blue at step 1, yellow at the last step shown and after it, "
        "grey where that never happens."
    )
    return [captioned_image(grid(cells, len(cells) // 2), "The pair and its first steps"), note(explanation)]


def _last_drawn(steps: np.ndarray) -> int:
    """What the scale ends with: 99% of the pixels are within."""
    finite = steps[np.isfinite(steps)]
    return max(2, int(np.ceil(np.quantile(finite, 0.99)))) if finite.size else 2


def _all_first_steps(page: ConvergencePage) -> list[tuple[PartFigures, FirstSteps]]:
    """Tolerance by tolerance, so that the parts stand side by side."""
    by_tolerance = zip(*(_of_part(part) for part in page.parts), strict=True)
    return [pair for pairs in by_tolerance for pair in pairs]


def _of_part(part: PartFigures) -> list[tuple[PartFigures, FirstSteps]]:
    return [(part, first) for first in part.first_steps]


def _channels(page: ConvergencePage) -> list[str | Plots]:
    hidden, *others = page.parts
    curves, energies = [], []
    for first in hidden.first_steps:
        order = np.argsort(first.by_channel[1], kind="stable")
        ranks, series = range(1, len(order) + 1), f"under {first.tolerance:g}"
        energies.append(Line(ranks, (100 * hidden.channel_energy[order]).tolist(), series, series))
        for quartile, name in zip(first.by_channel, ("first quartile", "median", "third quartile"), strict=True):
            curves.append(Line(ranks, quartile[order].tolist(), f"{series}, {name} of the pixels", series))
    notes = [
        f"{hidden.name}, each tolerance with its own order: sorted by each channel's median over the pixels; the lines "
        "around it are its quartiles."
    ]
    for part in others:
        for first in part.first_steps:
            medians = ", ".join(f"{step:g}" if np.isfinite(step) else "never" for step in first.by_channel[1])
            notes.append(f"{part.name}, under {first.tolerance:g}: medians of the channels {medians}.")
    title = f"channels of the {hidden.name}, from the quickest to the slowest"
    ranked = plots(
        LinePlot(curves, x=title, y="first step"),
        LinePlot(energies, x=title, y="share of the squared change (%)"),
    )
    return [ranked, *map(note, notes)]


def _counts(page: ConvergencePage) -> list[str | Plots]:
    bars, never = [], []
    for part, first in _all_first_steps(page):
        bars.append(
            StepBars((100 * first.counts).tolist(), x="step", y=f"% of the {part.name} first under {first.tolerance:g}")
        )
        never.append(f"{part.name} under {first.tolerance:g}: {100 * first.never:.1f}%")
    return [plots(*bars, *map(_arrived, page.parts)), note(f"Never within the steps: {'; '.join(never)}.")]


def _traces(page: ConvergencePage) -> list[str | Plots]:
    def lines(of: Callable[[PartFigures], np.ndarray]) -> list[Line]:
        return [Line(range(1, len(of(part)) + 1), of(part).tolist(), part.name, part.name) for part in page.parts]

    return [
        plots(
            LinePlot(lines(lambda part: 100 * part.cumulative_energy), x="step", y="share of the squared change (%)"),
            LinePlot(lines(lambda part: part.relative_changes), x="step", y="relative change", log_y=True),
            LinePlot(lines(lambda part: part.changes), x="step", y="absolute change", log_y=True),
        )
    ]


def _arrived(part: PartFigures) -> LinePlot:
    lines = []
    for first in part.first_steps:
        name = f"under {first.tolerance:g}"
        lines.append(Line(range(1, len(first.counts) + 1), (100 * first.counts.cumsum()).tolist(), name, name))
    return LinePlot(lines, x="step", y=f"% of the {part.name} that has been under a tolerance")


def _left_out(page: ConvergencePage) -> list[str | Plots]:
    maps = [ShareMap(rule.layers, x="step", title=f"{rule.name} rule: {rule.counted} left out") for rule in page.rules]
    return [html_table(page.left_out, name="left-out"), plots(*maps), *map(note, page.rule_notes)]
