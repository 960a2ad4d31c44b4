"""Bringing a flow of 1/8 resolution to full resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample_convex(flow: Tensor, mask: Tensor, factor: int = 8) -> Tensor:
    """Each fine pixel is a convex combination of its coarse pixel's 3x3 neighbours (RAFT, arXiv 2003.12039, section 3.3).

    flow: (B, 2, H, W) coarse pixels. mask: (B, 9 * factor^2, H, W), logits. Returns (B, 2, factor * H, factor * W) pixels.
    """
    batch, _, height, width = flow.shape
    weights = mask.permute(0, 2, 3, 1).reshape(batch, height * width, 9, factor * factor).softmax(dim=2)
    neighbours = F.unfold(factor * flow, kernel_size=3, padding=1).view(batch, 2, 9, height * width)
    fine = torch.einsum("bcnp,bpnf->bcpf", neighbours.to(weights.dtype), weights)
    fine = fine.view(batch, 2, height, width, factor, factor).permute(0, 1, 2, 4, 3, 5)
    return fine.reshape(batch, 2, factor * height, factor * width)


def upsample_bilinear(flow: Tensor, factor: int = 8) -> Tensor:
    """(B, 2, H, W) coarse pixels -> (B, 2, factor * H, factor * W) pixels, corners aligned."""
    height, width = flow.shape[-2:]
    size = (factor * height, factor * width)
    return factor * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
