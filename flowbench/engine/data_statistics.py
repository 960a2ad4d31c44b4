"""Statistics of a data set's pairs, beside those of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from omegaconf import DictConfig
from rich.console import Console
from torch.utils.data import ConcatDataset, Subset

from flowbench.data.pair_statistics import OCTAVES, pair_statistics, resized
from flowbench.engine.config.groups import data_modules
from flowbench.engine.config.kinds import Count, Size
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings, Split
from flowbench.errors import FlowBenchError
from flowbench.io.records import write_csv
from flowbench.report.charts import LinePlot
from flowbench.report.colour import flow_to_image
from flowbench.report.drawing import captioned, grid, scaled
from flowbench.report.figure_files import check_figures
from flowbench.report.html_table import html_table
from flowbench.report.line_plot import Line
from flowbench.report.page import captioned_image, plots, section, write_page
from flowbench.report.table import columns_table, print_table
from flowbench.structures import FlowSample

_PICTURE_WIDTH = 300
_PICTURES = 12
_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class DataStatisticsSettings(Settings):
    """What `data_statistics` takes; conf/data_statistics.yaml has the same names and defaults."""

    data: DictConfig | None = None
    """The data set."""
    beside: DictConfig | None = None
    """Another one to compare it with."""
    split: Split = "test"
    """Which of their pairs."""
    at_most: Count = 100
    """Pairs of each, evenly spaced."""
    size: Size | None = (384, 512)
    """Height and width to which pairs are resized, pixels; as they are if None."""
    figures: Literal["pdf"] | None = None
    """pdf: the charts as files for a paper, too."""

    def check(self) -> None:
        check_figures(self.figures)


def data_statistics(settings: DataStatisticsSettings, run: Run) -> Path:
    """Writes statistics.csv and statistics.html of the pairs of data=, and of those of data@beside= where it is given.

    Raises FlowBenchError where neither is.
    """
    sets = [(name, data) for name, data in (("data", settings.data), ("beside", settings.beside)) if data is not None]
    if not sets:
        raise FlowBenchError(
            "No data was named: add data=<name>, and another one to compare it with as data@beside=<name>."
        )
    chosen = {f"{part.name} ({role})" if len(sets) > 1 else part.name: _chosen(part, settings) for role, part in sets}
    rows = [
        {"pairs of": name, "pairs": len(pairs), **pair_statistics(_each(pairs), settings.size)}
        for name, pairs in chosen.items()
    ]
    folder = run.folder
    write_csv(folder / "statistics.csv", rows)
    sections = [section("Statistics", html_table(rows, name="statistics"), plots(_spectra(rows)))]
    for name, pairs in chosen.items():
        sections.append(
            section(name, captioned_image(_sheet(pairs, settings.size), f"First images of {name}, and their flow"))
        )
    write_page(folder / "statistics.html", "Statistics of pairs", sections, settings.figures)
    print_table(columns_table(rows))
    Console(highlight=False, soft_wrap=True).print(folder / "statistics.html")
    return folder / "statistics.html"


def _each(pairs: Subset[FlowSample]) -> Iterator[FlowSample]:
    return (pairs[index] for index in range(len(pairs)))


def _chosen(data: DictConfig, settings: DataStatisticsSettings) -> Subset[FlowSample]:
    """`at_most` pairs of the data, evenly spaced."""
    samples: ConcatDataset[FlowSample] = ConcatDataset(list(data_modules(data)[0].split(settings.split).values()))
    count = min(settings.at_most, len(samples))
    return Subset(samples, np.linspace(0, len(samples) - 1, count).round().astype(int).tolist())


def _spectra(rows: Sequence[dict[str, Any]]) -> LinePlot:
    lines = []
    for row in rows:
        powers = [value for key, value in row.items() if key.startswith("power")]
        lines.append(Line([float(2**octave) for octave in range(1, OCTAVES + 1)], powers, series=row["pairs of"]))
    return LinePlot(lines, x="details from this size (px) to twice it", y="power", log_y=True)


def _sheet(pairs: Subset[FlowSample], size: Sequence[int] | None) -> np.ndarray:
    indices = np.linspace(0, len(pairs) - 1, min(_PICTURES, len(pairs))).round().astype(int)
    cells = [_cell(pairs[index] if size is None else resized(pairs[index], size)) for index in indices]
    return grid(cells, -(-len(cells) // _COLUMNS))


def _cell(sample: FlowSample) -> np.ndarray:
    flow = flow_to_image(sample.flow, valid=sample.valid)
    return captioned(scaled(np.hstack([sample.image1, flow]), _PICTURE_WIDTH), sample.key)
