"""A contact sheet of training samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from rich.console import Console
from torch.utils.data import ConcatDataset

from flowbench.engine.config.groups import data_modules
from flowbench.engine.config.kinds import Count, FromZero
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings, Split
from flowbench.io.image import write_image
from flowbench.report.colour import flow_to_image
from flowbench.report.drawing import captioned, grid, scaled
from flowbench.structures import FlowSample


@dataclass(frozen=True, kw_only=True)
class ContactSheetSettings(Settings):
    """What `contact_sheet` takes; conf/contact_sheet.yaml has the same names and defaults."""

    data: DictConfig
    """The data set."""
    split: Split = "train"
    """Which of its samples."""
    first: FromZero = 0
    """The index of the first sample."""
    count: Count = 4
    """Samples, a row each."""
    width: Count = 360
    """Of each image, pixels."""


def contact_sheet(settings: ContactSheetSettings, run: Run) -> Path:
    """Writes one picture of `count` samples: first and second picture, flow in colours, occluded points in red."""
    samples: ConcatDataset[FlowSample] = ConcatDataset(
        list(data_modules(settings.data)[0].split(settings.split).values())
    )
    chosen = range(settings.first, min(settings.first + settings.count, len(samples)))
    cells = [cell for index in chosen for cell in _cells(samples[index], settings.width)]
    path = run.folder / "samples.png"
    write_image(path, grid(cells, len(chosen)))
    Console(highlight=False, soft_wrap=True).print(path)
    return path


def _cells(sample: FlowSample, width: int) -> list[np.ndarray]:
    longest = np.linalg.norm(sample.flow[sample.valid], axis=-1).max(initial=0)
    cells = [
        captioned(scaled(sample.image1, width), sample.key),
        captioned(scaled(sample.image2, width), "image 2"),
        captioned(scaled(flow_to_image(sample.flow, valid=sample.valid), width), f"flow, up to {longest:.1f} px"),
    ]
    if sample.occluded is not None:
        hidden = sample.image1.copy()
        hidden[sample.occluded] = (220, 40, 40)
        cells.append(captioned(scaled(hidden, width), f"occluded: {100 * sample.occluded.mean():.1f}%"))
    return cells
