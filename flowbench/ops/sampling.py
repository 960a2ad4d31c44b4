"""Sampling at pixel coordinates: warping, and forward projection of a flow to the next frame."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor


def coordinate_grid(batch: int, height: int, width: int, *, like: Tensor) -> Tensor:
    """(B, 2, H, W): the pixel coordinates (x, y), in the dtype and on the device of `like`; B is `batch`."""
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype),
        torch.arange(width, device=like.device, dtype=like.dtype),
        indexing="ij",
    )
    return torch.stack([x, y]).expand(batch, 2, height, width)


def sample_bilinear(image: Tensor, coords: Tensor) -> Tensor:
    """image (B, C, H, W) at the pixel coordinates coords (B, 2, H', W') -> (B, C, H', W'); zeros outside."""
    height, width = image.shape[-2:]
    # grid_sample with align_corners=False puts the pixel centre x at (2x + 1) / W - 1: no division by W - 1, so one-pixel
    # maps work too.
    grid_x = (2 * coords[:, 0] + 1) / width - 1
    grid_y = (2 * coords[:, 1] + 1) / height - 1
    return F.grid_sample(image, torch.stack([grid_x, grid_y], dim=-1), align_corners=False)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """image (B, C, H, W) sampled at x + flow(x), flow (B, 2, H, W) in pixels; zeros outside."""
    batch, _, height, width = flow.shape
    return sample_bilinear(image, coordinate_grid(batch, height, width, like=flow) + flow)


def project_forward(flow: Tensor) -> Tensor:
    """Projects a flow along itself, as the next frame's initial flow (RAFT's warm start, arXiv 2003.12039, section 3.3).

    Pixel (x, y) moves to (x + u, y + v), and is dropped unless it lands strictly inside the image. Every grid point takes
    the flow of the nearest pixel that remains; the flow is zero if none remains.

    Args:
        flow: (B, 2, H, W) pixels of its own resolution.
    """
    projected = [_project_one(sample) for sample in flow.detach().double().cpu().numpy()]
    return torch.from_numpy(np.stack(projected)).to(flow)


def _project_one(flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[1:]
    y, x = np.mgrid[:height, :width]
    target_x, target_y = x + flow[0], y + flow[1]
    inside = (target_x > 0) & (target_x < width) & (target_y > 0) & (target_y < height)
    if not inside.any():
        return np.zeros_like(flow)
    landed = cKDTree(np.stack([target_x[inside], target_y[inside]], axis=1))
    _, nearest = landed.query(np.stack([x.ravel(), y.ravel()], axis=1))
    return flow[:, inside][:, nearest].reshape(2, height, width)
