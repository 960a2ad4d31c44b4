"""Correlation of each pixel with a fixed pattern of near neighbours in the other image (FlowNet, arXiv 1504.06852).

Only the wanted displacements are computed, each as one product over the whole map: no gather, no compiled extension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from flowbench.ops.precision import at_least_float32, full_precision

# (dy, dx) in pixels.
Displacements = Sequence[tuple[int, int]]


def square_displacements(radius: int) -> tuple[tuple[int, int], ...]:
    """All (dy, dx) of the square window, row by row."""
    steps = range(-radius, radius + 1)
    return tuple((dy, dx) for dy in steps for dx in steps)


def local_correlation(features1: Tensor, features2: Tensor, displacements: Displacements) -> Tensor:
    """mean over c of features1[c, y, x] * features2[c, y + dy, x + dx], zero outside the map, in at least float32.

    Args:
        features1: (B, C, H, W), of image1.
        features2: (B, C, H, W), of image2.
        displacements: (dy, dx) in pixels.

    Returns (B, len(displacements), H, W). Differentiable once.
    """
    with full_precision(features1.device):
        features1, features2 = _prepared(features1), _prepared(features2)
        correlation = _products_by_row if torch.compiler.is_exporting() else _LocalCorrelation.apply
        return correlation(features1 / features1.shape[1], features2, tuple(displacements))


def _prepared(features: Tensor) -> Tensor:
    """Products of maps in two layouts would be several times slower."""
    return at_least_float32(features).contiguous(memory_format=torch.channels_last)


def _products_by_row(features1: Tensor, features2: Tensor, displacements: Displacements) -> Tensor:
    """The same in few operations on large tensors: an exporter's time goes with their number."""
    shifted = _Shifted(features2, displacements)
    steps = range(-shifted.border, shifted.border + 1)
    neighbours = torch.stack([shifted.along_x(dx) for dx in steps], dim=2)
    features1 = features1.unsqueeze(2)
    rows = [(features1 * shifted.along_y(dy, neighbours)).sum(dim=1) for dy in steps]
    wanted = [(dy + shifted.border) * len(steps) + dx + shifted.border for dy, dx in displacements]
    return torch.cat(rows, dim=1)[:, wanted]


class _LocalCorrelation(torch.autograd.Function):
    """The sum of products. A chain of ordinary operations would keep every product for the backward pass."""

    @staticmethod
    def forward(ctx: Any, features1: Tensor, features2: Tensor, displacements: Displacements) -> Tensor:
        ctx.save_for_backward(features1, features2)
        ctx.displacements = displacements
        shifted = _Shifted(features2, displacements)
        batch, _, height, width = features1.shape
        sums = features1.new_empty(batch, len(displacements), height, width)
        products = torch.empty_like(features1)
        for index, step in enumerate(displacements):
            torch.mul(features1, shifted[step], out=products)
            torch.sum(products, dim=1, out=sums[:, index])
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features1, features2 = ctx.saved_tensors
        need1, need2, _ = ctx.needs_input_grad
        grad = grad.contiguous()  # One displacement's plane after the other.
        shifted = _Shifted(features2, ctx.displacements)
        grad1 = torch.zeros_like(features1) if need1 else None
        grad2 = _Shifted(torch.zeros_like(features2), ctx.displacements) if need2 else None
        for index, step in enumerate(ctx.displacements):
            weight = grad[:, index : index + 1]
            if grad1 is not None:
                grad1.addcmul_(weight, shifted[step])
            if grad2 is not None:
                grad2[step].addcmul_(weight, features1)
        return grad1, None if grad2 is None else grad2.centre(), None


class _Shifted:
    """Views of a map (B, C, H, W) at displacements, in one copy of it with a border of zeros."""

    def __init__(self, features: Tensor, displacements: Displacements) -> None:
        self.height, self.width = features.shape[-2:]
        self.border = max(max(abs(dy), abs(dx)) for dy, dx in displacements)
        self.padded = F.pad(features, [self.border] * 4)

    def __getitem__(self, step: tuple[int, int]) -> Tensor:
        top, left = self.border + step[0], self.border + step[1]
        return self.padded[:, :, top : top + self.height, left : left + self.width]

    def along_x(self, dx: int) -> Tensor:
        return self.padded.narrow(-1, self.border + dx, self.width)

    def along_y(self, dy: int, padded: Tensor) -> Tensor:
        return padded.narrow(-2, self.border + dy, self.height)

    def centre(self) -> Tensor:
        return self[0, 0]
