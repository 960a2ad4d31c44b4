"""Charts as data: drawn as SVG in a page, and by matplotlib for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flowbench.report.bars import step_bars_svg
from flowbench.report.heat_map import share_map_svg
from flowbench.report.histogram import binned, histogram_svg
from flowbench.report.line_plot import Line, line_plot_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Chart(Protocol):
    """A chart for a page and for a paper."""

    def svg(self) -> str:
        """An inline SVG, coloured by the page's style sheet."""

    def draw(self, axes: Axes) -> None:
        """Draws into empty axes of matplotlib."""


@dataclass(frozen=True)
class LinePlot:
    """A line plot.

    Args:
        lines: points of each line.
        x: title of the axis, with the unit.
        y: title of the axis, with the unit.
        log_y: logarithmic y; values not above zero are left out.
    """

    lines: Sequence[Line]
    x: str
    y: str
    log_y: bool = False

    def svg(self) -> str:
        return line_plot_svg(self.lines, x=self.x, y=self.y, log_y=self.log_y)

    def draw(self, axes: Axes) -> None:
        series = list(dict.fromkeys(line.series for line in self.lines))
        many = len(self.lines) > 12
        for line in self.lines:
            y = np.asarray(line.y, dtype=np.float64)
            drawn = np.isfinite(y) & ((y > 0) | (not self.log_y))
            colour = f"C{series.index(line.series)}"
            width, marker = 0.6 if many else 1.2, "o" if line.labels else None
            axes.plot(line.x, np.where(drawn, y, np.nan), color=colour, linewidth=width, marker=marker, markersize=3)
            for label, x, value in zip(line.labels, line.x, y):
                axes.annotate(label, (x, value), xytext=(3, 3), textcoords="offset points", fontsize="small")
        for name in filter(None, series):
            axes.plot([], [], color=f"C{series.index(name)}", label=name)
        if any(series):
            axes.legend(frameon=False)
        if self.log_y:
            axes.set_yscale("log")
        axes.set(xlabel=self.x, ylabel=self.y)


@dataclass(frozen=True)
class Histogram:
    """A histogram.

    Args:
        values: at least one finite number; others are left out.
        unit: title of the x axis.
        counted: title of the y axis, for instance "samples".
    """

    values: Sequence[float]
    unit: str
    counted: str

    def svg(self) -> str:
        return histogram_svg(self.values, unit=self.unit, counted=self.counted)

    def draw(self, axes: Axes) -> None:
        finite, edges, counts = binned(self.values)
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge")
        for name, value, style in (("median", np.median(finite), "--"), ("mean", finite.mean(), ":")):
            axes.axvline(
                min(value, edges[-1]), color="black", linestyle=style, linewidth=1, label=f"{name} {value:.3g}"
            )
        axes.legend(frameon=False)
        cut = f", last bar: ≥ {edges[-2]:.3g}" if finite.max() > edges[-1] else ""
        axes.set(xlabel=f"{self.unit}{cut}", ylabel=self.counted)


@dataclass(frozen=True)
class StepBars:
    """A bar chart over steps.

    Args:
        heights: of the bars of step 1, 2, ..., none below zero.
        x: title of the axis, with the unit.
        y: title of the axis, with the unit.
    """

    heights: Sequence[float]
    x: str
    y: str

    def svg(self) -> str:
        return step_bars_svg(self.heights, x=self.x, y=self.y)

    def draw(self, axes: Axes) -> None:
        axes.bar(range(1, len(self.heights) + 1), self.heights)
        axes.set(xlabel=self.x, ylabel=self.y)


@dataclass(frozen=True)
class ShareMap:
    """Shares from 0 to 1 as colours, one row per name and one cell per step.

    Args:
        rows: shares at step 1, 2, ..., by name.
        x: title of the axis.
        title: of the colour scale.
    """

    rows: Mapping[str, Sequence[float]]
    x: str
    title: str

    def svg(self) -> str:
        return share_map_svg(self.rows, x=self.x, title=self.title)

    def draw(self, axes: Axes) -> None:
        shares = np.full((len(self.rows), max(map(len, self.rows.values()))), np.nan)
        for row, values in zip(shares, self.rows.values()):
            row[: len(values)] = 100 * np.asarray(values)
        extent = (0.5, shares.shape[1] + 0.5, len(self.rows) - 0.5, -0.5)
        image = axes.imshow(shares, vmin=0, vmax=100, aspect="auto", interpolation="none", extent=extent)
        axes.set_yticks(range(len(self.rows)), list(self.rows))
        axes.figure.colorbar(image, ax=axes, label="%")
        axes.set(xlabel=self.x, title=self.title)
