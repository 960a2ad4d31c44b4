"""A look at the data before training on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from torch.utils.data import ConcatDataset

from flowbench.configs import build
from flowbench.io.image import write_image
from flowbench.report.colour import flow_to_image
from flowbench.report.drawing import captioned, grid, scaled
from flowbench.structures import FlowSample


def contact_sheet(config: DictConfig) -> Path:
    """Writes one picture of `count` samples: first and second picture, flow in colours, occluded points in red."""
    samples: ConcatDataset[FlowSample] = ConcatDataset(list(build(config.data).split(config.split).values()))
    chosen = range(config.first, min(config.first + config.count, len(samples)))
    cells = [cell for index in chosen for cell in _cells(samples[index], config.width)]
    path = Path(HydraConfig.get().runtime.output_dir) / "samples.png"
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
