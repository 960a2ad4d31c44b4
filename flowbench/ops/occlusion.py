"""Occluded pixels by the consistency of forward and backward flow."""

from __future__ import annotations

from torch import Tensor

from flowbench.ops.sampling import coordinate_grid, sample_bilinear


def occluded_pixels(flow: Tensor, backward: Tensor, *, relative: float = 0.01, absolute: float = 0.5) -> Tensor:
    """Where a pixel of the first image has no counterpart in the second, (B, H, W) bool.

    A pixel that is visible in both returns to its place: with b the backward flow at the end of the forward flow f, it is
    occluded where |f + b|^2 >= relative (|f|^2 + |b|^2) + absolute, and where f leads out of the image, whose border lies
    half a pixel beyond the outermost centres. The criterion and its numbers are those of Sundaram, Brox and Keutzer, "Dense
    point trajectories by GPU-accelerated large displacement optical flow", ECCV 2010.

    Args:
        flow: (B, 2, H, W), pixels, from the first image to the second.
        backward: (B, 2, H, W), pixels, from the second image to the first.
        relative: The share of the squared lengths that may be missed.
        absolute: The squared length that may be missed besides, pixels^2.
    """
    batch, _, height, width = flow.shape
    ends = coordinate_grid(batch, height, width, like=flow) + flow
    last = ends.new_tensor([width - 1, height - 1]).view(2, 1, 1)
    within = ends.clamp(min=0).minimum(last)
    # The image ends half a pixel beyond the centre of its last one.
    outside = ((ends - within).abs() > 0.5).any(dim=1)
    back = sample_bilinear(backward, within)
    missed, lengths = (flow + back).square().sum(dim=1), (flow.square() + back.square()).sum(dim=1)
    return outside | (missed >= relative * lengths + absolute)
