"""Pooling a flow whose ground truth may be known at some pixels only."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

PoolingKind = Literal["mean", "extreme"]
POOLINGS = ("mean", "extreme")


def pool_flow(flow: Tensor, valid: Tensor, size: tuple[int, int], kind: PoolingKind = "mean") -> tuple[Tensor, Tensor]:
    """The flow pooled to cells, (B, 2, *size), and which cells hold a valid pixel, (B, *size) bool.

    Vectors keep their length in pixels; cells without a valid pixel are zero.

    Args:
        flow: (B, 2, H, W).
        valid: (B, H, W) bool.
        size: (height, width) of the result.
        kind: "mean", over a cell's valid pixels; "extreme", per component the largest positive plus the lowest negative
            value, as FlowNet's code does for sparse ground truth.
    """
    # torch.where rather than a product: an invalid pixel may hold an infinite or undefined ground truth.
    flow = torch.where(valid.unsqueeze(1), flow, 0.0)
    share = F.adaptive_avg_pool2d(valid.unsqueeze(1).to(flow.dtype), size)
    known = share > 0
    if kind == "mean":
        pooled = F.adaptive_avg_pool2d(flow, size) / torch.where(known, share, 1.0)
    else:
        pooled = F.adaptive_max_pool2d(flow.clamp(min=0), size) - F.adaptive_max_pool2d((-flow).clamp(min=0), size)
    return pooled, known.squeeze(1)
