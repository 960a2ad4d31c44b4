"""Upsampling of a flow from 1/8 to full resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from flowbench.ops.precision import at_least_float32, full_precision


def upsample_convex(flow: Tensor, mask: Tensor, factor: int = 8) -> Tensor:
    """Each fine pixel is a convex combination of its coarse pixel's 3x3 neighbours (RAFT, arXiv 2003.12039, section 3.3).

    Args:
        flow: (B, 2, H, W) coarse pixels.
        mask: (B, 9 * factor^2, H, W), logits.
        factor: fine pixels per coarse pixel and axis.

    Returns (B, 2, factor * H, factor * W) pixels, at least float32.
    """
    height, width = flow.shape[-2:]
    # Eight bits of a half-precision mantissa would round a flow of 100 px to half a pixel.
    flow, mask = at_least_float32(flow), at_least_float32(mask)
    weights = rearrange(mask, "b (n fy fx) h w -> b n (fy fx) (h w)", n=9, fy=factor).softmax(dim=1)
    neighbours = F.unfold(factor * flow, kernel_size=3, padding=1)
    neighbours = rearrange(neighbours, "b (c n) p -> b c n p", n=9).to(weights.dtype)
    with full_precision(flow.device):
        fine = torch.einsum("bcnp,bnfp->bcfp", neighbours, weights)
    return rearrange(fine, "b c (fy fx) (h w) -> b c (h fy) (w fx)", fy=factor, h=height, w=width)


def upsample_bilinear(flow: Tensor, factor: int = 8) -> Tensor:
    """(B, 2, H, W) coarse pixels -> (B, 2, factor * H, factor * W) pixels, corners aligned."""
    height, width = flow.shape[-2:]
    size = (factor * height, factor * width)
    return factor * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
