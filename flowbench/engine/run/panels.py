"""Panels of a model's flow on a sample."""

from __future__ import annotations

import numpy as np

from flowbench.models.base import FlowModel
from flowbench.report.panel import panel
from flowbench.structures import FlowSample


def sample_panel(model: FlowModel, sample: FlowSample, *, title: str | None = None, rows: int = 2) -> np.ndarray:
    """Pictures, truth, the model's flow and its error, as one RGB picture; the title is the sample's key if not given."""
    flow = model.estimate(sample.image1, sample.image2).flow[0].float().permute(1, 2, 0).cpu().numpy()
    return panel(
        sample.image1,
        sample.image2,
        flow,
        sample.flow,
        sample.valid,
        title=sample.key if title is None else title,
        rows=rows,
    )
