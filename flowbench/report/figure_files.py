"""The charts of a page as files for a paper, which matplotlib draws."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.report.charts import Chart

FOLDER = "figures"
# One column of a two-column page, in inches. Type 42: letters stay text.
_SIZE = (3.4, 2.4)
_STYLE = {"font.size": 8, "axes.titlesize": 8, "pdf.fonttype": 42, "axes.spines.top": False, "axes.spines.right": False}


def check_figures(figures: Any) -> None:
    """Raises FlowBenchError where `figures` is neither null nor pdf, or matplotlib, which draws them, is missing."""
    if figures not in (None, "pdf"):
        raise FlowBenchError(f"figures={figures}: choose pdf or null.")
    if figures and find_spec("matplotlib") is None:
        raise FlowBenchError(
            "figures=pdf needs matplotlib, which is not installed: pip install 'optical-flowbench[figures]'."
        )


def write_figures(folder: Path, charts: Mapping[str, Sequence[Chart]]) -> None:
    """Writes <title>.pdf for each title, or <title>_1.pdf, <title>_2.pdf, ... where it has several charts."""
    for title, under_it in charts.items():
        name = re.sub(r"\W+", "_", title.lower()).strip("_")
        for number, chart in enumerate(under_it, start=1):
            with written_aside(folder / (f"{name}_{number}.pdf" if len(under_it) > 1 else f"{name}.pdf")) as aside:
                aside.write_bytes(_pdf(chart))


def _pdf(chart: Chart) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout="constrained")
        chart.draw(figure.subplots())
        content = BytesIO()
        # Without its date, the file depends on the figures alone.
        figure.savefig(content, format="pdf", metadata={"CreationDate": None})
    return content.getvalue()
