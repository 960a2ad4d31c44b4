"""Samples and batches made in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flowbench.structures import FlowBatch, FlowDataset, FlowSample


def truth_batch(flow: Tensor, valid: Tensor | None = None, occluded: Tensor | None = None) -> FlowBatch:
    """A batch for what looks at the truth alone: flow (B, 2, H, W), black pictures, valid everywhere if not told."""
    batch, _, height, width = flow.shape
    return FlowBatch(
        image1=torch.zeros(batch, 3, height, width),
        image2=torch.zeros(batch, 3, height, width),
        flow=flow,
        valid=torch.ones(batch, height, width, dtype=torch.bool) if valid is None else valid,
        occluded=occluded,
        key=[f"sample/{number}" for number in range(batch)],
    )


def shifted_noise(index: int, height: int = 64, width: int = 64, shift: int = 3) -> FlowSample:
    """Noise that moves to the right by `shift` pixels."""
    noise = np.random.default_rng(index).integers(0, 256, (height, width + shift, 3), dtype=np.uint8)
    flow = np.zeros((height, width, 2), np.float32)
    flow[..., 0] = shift
    valid = np.ones((height, width), bool)
    return FlowSample(noise[:, shift:].copy(), noise[:, :width].copy(), flow, valid, ~valid, f"noise/{index}")


def addressed_sample(index: int, height: int = 20, width: int = 30) -> FlowSample:
    """Every field tells its own pixel: flow holds (x, y), the pictures and masks follow from it."""
    y, x = np.mgrid[:height, :width]
    flow = np.stack([x, y], axis=-1).astype(np.float32)
    image = np.stack([x, y, np.full_like(x, index)], axis=-1).astype(np.uint8)
    return FlowSample(image, image + 100, flow, (x + y) % 2 == 0, (x + y) % 3 == 0, f"addressed/{index}")


class Samples(FlowDataset):
    """`count` samples made by a function of their index."""

    def __init__(self, count: int, make=shifted_noise) -> None:
        self.count = count
        self.make = make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> FlowSample:
        return self.make(index)
