"""A network at several step limits, as plots of its error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flowbench.report.line_plot import Line, line_plot_svg

_ERROR = "EPE (px)"


def step_limit_plots(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The error against the limit and against the time, as SVG. rows: `limit`, `epe` and `seconds_per_pair` of each limit."""
    limits, errors = [row["limit"] for row in rows], [row.get("epe", math.nan) for row in rows]
    by_limit = Line(limits, errors, labels=[f"{error:.3f}" for error in errors])
    by_time = Line([row["seconds_per_pair"] for row in rows], errors, labels=[str(limit) for limit in limits])
    return [
        line_plot_svg([by_limit], x="step limit", y=_ERROR),
        line_plot_svg([by_time], x="time a pair (s), by step limit", y=_ERROR),
    ]
