"""Maps z -> f(z) with known fixed points, float64, that note how many samples each evaluation had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from flowbench.deq import State

F64 = torch.float64


@dataclass(frozen=True)
class Linear:
    """z -> A z + b; matrix (B, D, D), offset (B, D)."""

    matrix: Tensor
    offset: Tensor
    evaluated: list[int] = field(default_factory=list)

    def __call__(self, state: State) -> State:
        (z,) = state
        self.evaluated.append(z.shape[0])
        return (torch.einsum("bij,bj->bi", self.matrix, z) + self.offset,)

    def select(self, index: Tensor) -> Linear:
        return replace(self, matrix=self.matrix[index], offset=self.offset[index])

    def alone(self, sample: int) -> Linear:
        return Linear(self.matrix[sample, None], self.offset[sample, None])

    @property
    def start(self) -> State:
        return (torch.zeros_like(self.offset),)

    @property
    def fixed_point(self) -> Tensor:
        return torch.linalg.solve(torch.eye(self.offset.shape[1], dtype=F64) - self.matrix, self.offset)


def symmetric(*radii: float, width: int = 6) -> Linear:
    """One sample for each spectral radius: eigenvalues evenly from -radius / 2 to radius."""
    basis = torch.linalg.qr(torch.randn(len(radii), width, width, dtype=F64)).Q
    eigenvalues = torch.tensor(radii, dtype=F64)[:, None] * torch.linspace(-0.5, 1, width, dtype=F64)
    return Linear(basis @ torch.diag_embed(eigenvalues) @ basis.mT, torch.randn(len(radii), width, dtype=F64))


def scaling(*rates: float, offset: float | tuple[float, ...] = 1.0) -> Linear:
    """One sample with one unknown for each rate: z -> rate * z + offset."""
    column = torch.tensor(rates, dtype=F64)[:, None]
    return Linear(column[:, :, None], torch.zeros_like(column) + torch.tensor(offset, dtype=F64).view(-1, 1))


def residual(f: Callable[[State], State], z: State) -> Tensor:
    """(B,): ||f(z) - z||."""
    change = [(image - part).flatten(1) for image, part in zip(f(z), z, strict=True)]
    return torch.cat(change, dim=1).norm(dim=1)
