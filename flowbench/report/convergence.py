"""Convergence plots of a solver: residuals and errors, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowbench.report.charts import LinePlot
from flowbench.report.line_plot import Line

MOST_LINES = 50


@dataclass(frozen=True)
class Trace:
    """The residuals of one sample's solve.

    Args:
        key: the sample's name.
        reason: why it stopped, as StopReason's name in lower case.
        absolute: residuals at step 1, 2, ...
        relative: residuals at step 1, 2, ...
    """

    key: str
    reason: str
    absolute: Sequence[float]
    relative: Sequence[float]


@dataclass(frozen=True)
class StepErrors:
    """The errors of one sample after each step of its solve.

    Args:
        key: the sample's name.
        group: of the report's images.
        epe: the end-point error (px) after step 1, 2, ...
    """

    key: str
    group: str
    epe: Sequence[float]


def residual_plots(traces: Sequence[Trace]) -> list[LinePlot]:
    """The absolute and the relative residuals of at most MOST_LINES samples that lie evenly in the data."""
    count = min(len(traces), MOST_LINES)
    shown = [traces[number * len(traces) // count] for number in range(count)]
    return [
        _plot(
            [(trace.key, trace.reason.replace("_", " "), getattr(trace, kind)) for trace in shown], f"{kind} residual"
        )
        for kind in ("absolute", "relative")
    ]


def error_plot(errors: Sequence[StepErrors]) -> LinePlot:
    """The error after each step."""
    return _plot([(sample.key, sample.group, sample.epe) for sample in errors], "end-point error (px)")


def _plot(curves: Sequence[tuple[str, str, Sequence[float]]], y: str) -> LinePlot:
    lines = [Line(range(1, len(values) + 1), values, name, series) for name, series, values in curves]
    return LinePlot(lines, x="solver step", y=y, log_y=True)
