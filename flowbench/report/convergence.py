"""Convergence plots of a solver: residuals and errors, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowbench.report.charts import LinePlot
from flowbench.report.line_plot import Line

MOST_LINES = 50


@dataclass(frozen=True)
class Trace:
    """absolute, relative: a sample's residuals at step 1, 2, ... reason: why the solver left it, in a word."""

    key: str
    reason: str
    absolute: Sequence[float]
    relative: Sequence[float]


@dataclass(frozen=True)
class StepErrors:
    """epe: the end-point error (px) of a sample's flow after step 1, 2, ... group: which of the images it is among."""

    key: str
    group: str
    epe: Sequence[float]


def residual_plots(traces: Sequence[Trace]) -> list[LinePlot]:
    """The absolute and the relative residuals of at most MOST_LINES samples that lie evenly in the data."""
    count = min(len(traces), MOST_LINES)
    shown = [traces[number * len(traces) // count] for number in range(count)]
    return [
        _plot([(each.key, each.reason.replace("_", " "), getattr(each, kind)) for each in shown], f"{kind} residual")
        for kind in ("absolute", "relative")
    ]


def error_plot(errors: Sequence[StepErrors]) -> LinePlot:
    """The error after each step."""
    return _plot([(each.key, each.group, each.epe) for each in errors], "end-point error (px)")


def _plot(curves: Sequence[tuple[str, str, Sequence[float]]], y: str) -> LinePlot:
    lines = [Line(range(1, len(values) + 1), values, name, series) for name, series, values in curves]
    return LinePlot(lines, x="solver step", y=y, log_y=True)
