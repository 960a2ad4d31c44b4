"""The report of an evaluation: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flowbench.io.image import read_image
from flowbench.report.charts import Histogram
from flowbench.report.comparison import comparison_plots, comparison_title
from flowbench.report.convergence import MOST_LINES, StepErrors, Trace, error_plot, residual_plots
from flowbench.report.drawing import scaled
from flowbench.report.html_table import html_metrics, html_table
from flowbench.report.page import (
    Plots,
    Section,
    captioned_image,
    note,
    plots,
    render_page,
    section,
    value_list,
    write_page,
)

_WIDEST_IMAGE = 1600


@dataclass(frozen=True)
class ReportImage:
    """An image of the report.

    Args:
        image: a file or an (H, W, 3) uint8 RGB array.
        caption: plain text.
        group: title of the section that shows it.
    """

    image: np.ndarray | str | Path
    caption: str
    group: str = ""


@dataclass(frozen=True)
class Report:
    """The content of the report. Empty parts are left out.

    Args:
        title: plain text.
        settings: that the numbers depend on (model, checkpoint, data, split, steps, padding, precision).
        metrics: by name, as in metrics.json.
        per_sequence: rows of equal keys.
        per_sample: rows of equal keys; the histogram shows "epe".
        images: shown group by group, in the given order.
        solver: statistics by name, as in metrics.json.
        compared: one row per number of iterations or threshold, as in steps.csv and thresholds.csv.
        traces: residuals of all samples.
        step_errors: of the samples in `images`.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    per_sequence: Sequence[Mapping[str, Any]] = ()
    per_sample: Sequence[Mapping[str, Any]] = ()
    images: Sequence[ReportImage] = ()
    solver: Mapping[str, float] = field(default_factory=dict)
    compared: Sequence[Mapping[str, Any]] = ()
    traces: Sequence[Trace] = ()
    step_errors: Sequence[StepErrors] = ()


def write_report(path: str | Path, report: Report, figures: str | None = None) -> None:
    """Writes the report as one self-contained HTML file, all text escaped.

    Args:
        path: of the file.
        report: its content.
        figures: see `write_page`.

    Raises FlowBenchError, naming the file, when an image cannot be read or the report cannot be written.
    """
    write_page(path, report.title, _sections(report), figures)


def render_report(report: Report) -> str:
    """The report's HTML."""
    return render_page(report.title, _sections(report))


def _sections(report: Report) -> list[Section]:
    sections = []
    if report.metrics:
        sections.append(section("Metrics", html_metrics(report.metrics)))
    if report.compared:
        table = html_table(report.compared, name="compared")
        sections.append(section(comparison_title(report.compared), table, plots(*comparison_plots(report.compared))))
    if report.solver:
        sections.append(section("Solver", html_metrics(report.solver, name="solver")))
    if report.settings:
        sections.append(section("Settings", value_list(report.settings)))
    errors = [row["epe"] for row in report.per_sample if row.get("epe") is not None]
    if np.isfinite(errors).any():
        figure = Histogram(errors, unit="end-point error (px)", counted="samples")
        sections.append(section("Error of the samples", figure))
    if report.traces:
        sections.append(section("Convergence", *_convergence(report)))
    for group in dict.fromkeys(image.group for image in report.images):
        figures = [_figure(image) for image in report.images if image.group == group]
        sections.append(section(group or "Images", "\n".join(figures)))
    if report.per_sequence:
        sections.append(section("Sequences", html_table(report.per_sequence, name="per-sequence")))
    if report.per_sample:
        sections.append(section("Samples", html_table(report.per_sample, name="per-sample")))
    return sections


def _convergence(report: Report) -> list[str | Plots]:
    content: list[str | Plots] = [plots(*residual_plots(report.traces))]
    if len(report.traces) > MOST_LINES:
        content.append(
            note(f"Residuals of {MOST_LINES} of the {len(report.traces)} samples, evenly spaced in the data.")
        )
    if report.step_errors:
        explanation = "Error of the samples shown below, from a cold start, if the solver had ended after this step."
        content += [plots(error_plot(report.step_errors)), note(explanation)]
    return content


def _figure(shown: ReportImage) -> str:
    image = shown.image if isinstance(shown.image, np.ndarray) else read_image(shown.image)
    return captioned_image(scaled(image, _WIDEST_IMAGE) if image.shape[1] > _WIDEST_IMAGE else image, shown.caption)
