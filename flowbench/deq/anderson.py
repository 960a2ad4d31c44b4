"""Anderson acceleration (Anderson, "Iterative procedures for nonlinear integral equations", 1965)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from flowbench.deq.progress import Keep
from flowbench.deq.solver import Solver, Step
from flowbench.deq.state import Map, Packing, S, unmixed

Returned = Literal["image", "iterate"]
# Two residuals are needed before any can be mixed.
_PLAIN_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Anderson(Solver["_History"]):
    """The next z is the combination of the last f(z) whose combined residual is smallest. A step evaluates f once.

    Where the linear system cannot be solved, the sample takes a plain step, z <- f(z).

    Args:
        memory: how many past steps are mixed.
        ridge: is added to the diagonal of the residuals' Gram matrix.
        mixing: beta, the share of the images against the iterates.
        returned: whether the result is f(z) of the mixed step with the lowest residual ("image"), or its z ("iterate").
    """

    keep: ClassVar[Keep] = "lowest"

    memory: int = 6
    ridge: float = 1e-4
    mixing: float = 1.0
    returned: Returned = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory < 1:
            raise ValueError(f"memory={self.memory}: Anderson needs at least 1 past step.")
        if self.returned not in get_args(Returned):
            raise ValueError(f"returned={self.returned!r}: choose one of {', '.join(get_args(Returned))}.")

    def init(self, f: Map[S], z0: S) -> _History:
        return _History(self.memory, Packing.of(z0), z0[0].shape[0], z0[0].device)

    def step(self, f: Map[S], z: S, carry: _History, running: Tensor) -> Step[S, _History]:
        history, packing = carry, carry.packing
        iterate = packing.pack(z) if history.added == 0 else history.mix(self.ridge, self.mixing)
        z = z if history.added == 0 else packing.unpack(iterate)
        image = f(z)
        packed = packing.pack(image)
        change = packed - iterate
        provisional = history.added < _PLAIN_STEPS
        history.add(packed, change)
        returned = image if self.returned == "image" else z
        return Step(returned, image, packing.unpack(change), history, provisional)

    def select(self, carry: _History, index: Tensor) -> _History:
        carry.select(index)
        return carry


class _History:
    """The last images and residuals, (B, memory, D), and the residuals' Gram matrix, of which a step renews one row."""

    def __init__(self, memory: int, packing: Packing, size: int, device: torch.device) -> None:
        like = torch.empty(0, dtype=packing.packed, device=device)
        self.packing = packing
        self.images = like.new_empty(size, memory, packing.width)
        self.residuals = like.new_empty(size, memory, packing.width)
        self.gram = like.new_zeros(size, memory, memory)
        self.added = 0

    @property
    def filled(self) -> int:
        return min(self.added, self.images.shape[1])

    def add(self, image: Tensor, residual: Tensor) -> None:
        index = self.added % self.images.shape[1]
        self.images[:, index], self.residuals[:, index] = image, residual
        self.added += 1
        with unmixed(residual.device):
            row = torch.einsum("bmd,bd->bm", self.residuals[:, : self.filled], residual)
        self.gram[:, index, : self.filled] = row
        self.gram[:, : self.filled, index] = row

    def select(self, index: Tensor) -> None:
        self.images, self.residuals, self.gram = self.images[index], self.residuals[index], self.gram[index]

    def mix(self, ridge: float, mixing: float) -> Tensor:
        """(B, D): the next iterate."""
        if self.added < _PLAIN_STEPS:
            return self.images[:, 0].clone()
        with unmixed(self.images.device):
            weights = self._weights(ridge)
            iterate = torch.einsum("bm,bmd->bd", weights, self.images[:, : self.filled])
            if mixing != 1:
                iterate -= (1 - mixing) * torch.einsum("bm,bmd->bd", weights, self.residuals[:, : self.filled])
            return iterate

    def _weights(self, ridge: float) -> Tensor:
        """(B, filled), summing to 1."""
        count = self.filled
        gram = self.gram[:, :count, :count] + ridge * torch.eye(count, dtype=self.gram.dtype, device=self.gram.device)
        ones = gram.new_ones(gram.shape[0], count, 1)
        solved, failed = torch.linalg.solve_ex(gram, ones)
        weights = (solved / solved.sum(dim=1, keepdim=True)).squeeze(-1)
        usable = (failed == 0) & weights.isfinite().all(dim=1)
        plain = torch.zeros_like(weights)
        plain[:, (self.added - 1) % self.images.shape[1]] = 1
        return torch.where(usable[:, None], weights, plain)
