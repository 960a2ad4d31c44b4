"""Anderson acceleration (Anderson, "Iterative procedures for nonlinear integral equations", 1965)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from flowbench.deq.progress import Progress, remaining
from flowbench.deq.solution import Solution
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, Packing, State, unmixed

Returned = Literal["image", "iterate"]
_PLAIN_STEPS = 2  # they fill the history


@dataclass(frozen=True, kw_only=True)
class Anderson(Solver):
    """The next z mixes the last images f(z) so that the mix of their residuals is smallest. A step is one evaluation of f.

    memory: how many past steps are mixed. ridge: what is added to the diagonal of the residuals' Gram matrix. mixing: beta,
    the share of the images against the iterates. Returns f(z) of the mixed step with the lowest residual, or z itself with
    returned="iterate". A system that cannot be solved gives way to a plain step, z <- f(z), for the sample concerned.
    """

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

    def solve(self, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
        progress = Progress(self, z0, states_at, keep="lowest")
        packing = Packing.of(z0)
        history = _History(self.memory, packing.pack(z0))
        z, iterate = z0, packing.pack(z0)
        going = True
        while going:
            image = f(z)
            packed = packing.pack(image)
            change = packed - iterate
            going = progress.record(
                image if self.returned == "image" else z,
                image,
                packing.unpack(change),
                provisional=progress.step < _PLAIN_STEPS,
            )
            if not going:
                break
            history.add(packed, change)
            if (kept := progress.shrink()) is not None:
                f = remaining(f, kept)
                history.select(kept)
            iterate = history.mix(self.ridge, self.mixing)
            z = packing.unpack(iterate)
        return progress.solution()


class _History:
    """The last images and residuals, (B, memory, D), and the residuals' Gram matrix, of which a step renews one row."""

    def __init__(self, memory: int, like: Tensor) -> None:
        size, width = like.shape
        self.images = like.new_empty(size, memory, width)
        self.residuals = like.new_empty(size, memory, width)
        self.gram = like.new_zeros(size, memory, memory)
        self.added = 0

    @property
    def filled(self) -> int:
        return min(self.added, self.images.shape[1])

    def add(self, image: Tensor, residual: Tensor) -> None:
        place = self.added % self.images.shape[1]
        self.images[:, place], self.residuals[:, place] = image, residual
        self.added += 1
        with unmixed(residual.device):
            row = torch.einsum("bmd,bd->bm", self.residuals[:, : self.filled], residual)
        self.gram[:, place, : self.filled] = row
        self.gram[:, : self.filled, place] = row

    def select(self, kept: Tensor) -> None:
        self.images, self.residuals, self.gram = self.images[kept], self.residuals[kept], self.gram[kept]

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
