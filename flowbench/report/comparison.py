"""A network at several numbers of iterations, or at several thresholds of the delta rule, as plots of its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flowbench.report.charts import LinePlot
from flowbench.report.line_plot import Line

_ERROR = "EPE (px)"
_WORK = "propagated_gmacs"


def comparison_title(rows: Sequence[Mapping[str, Any]]) -> str:
    """The title of the comparison."""
    return "Thresholds" if "threshold" in rows[0] else "Iterations"


def comparison_plots(rows: Sequence[Mapping[str, Any]]) -> list[LinePlot]:
    """The error against the iterations or the work, and against the time.

    rows: `iterations` or `threshold`, `epe` and `seconds_per_pair` of each, for thresholds `propagated_gmacs`.
    """
    errors = [row.get("epe", math.nan) for row in rows]
    seconds = [row["seconds_per_pair"] for row in rows]
    if "threshold" in rows[0]:
        names = [str(row["threshold"]) for row in rows]
        plots = [_line(seconds, errors, names, "time per pair (s), by threshold")]
        worked = [(row[_WORK], error, name) for row, error, name in zip(rows, errors, names) if _WORK in row]
        work, worked_errors, worked_names = zip(*worked)
        title = "multiplications of the update (10^9 per pair), by threshold"
        return [*plots, _line(work, worked_errors, worked_names, title)]
    iterations = [row["iterations"] for row in rows]
    return [
        _line(iterations, errors, [f"{error:.3f}" for error in errors], "iterations"),
        _line(seconds, errors, [str(number) for number in iterations], "time per pair (s), by iterations"),
    ]


def _line(x: Sequence[float], y: Sequence[float], labels: Sequence[str], title: str) -> LinePlot:
    return LinePlot([Line(x, y, labels=labels)], x=title, y=_ERROR)
