"""Broyden's (good) method (Broyden, "A class of methods for solving nonlinear simultaneous equations", 1965)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowbench.deq.progress import Progress, remaining
from flowbench.deq.solution import Solution
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, Packing, State, unmixed

_STALL_STEPS, _STALL_SPREAD, _STALL_TOLERANCES = 30, 1.3, 3
_ARMIJO_SHARE, _ARMIJO_TRIALS = 1e-4, 8


@dataclass(frozen=True, kw_only=True)
class Broyden(Solver):
    """A root of g(z) = f(z) - z, with an inverse Jacobian that starts at -I and takes a rank-one update a step.

    A step evaluates f once, after one evaluation at z0. memory: how many updates are kept; after so many the inverse starts
    from -I again; None keeps all. line_search: Armijo backtracking on ||g||^2, each trial one more evaluation. Returns the z
    of the lowest residual. A sample whose residual has not moved for 30 steps and is close to the tolerance has stalled.
    """

    memory: int | None = None
    line_search: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory is not None and self.memory < 1:
            raise ValueError(f"memory={self.memory}: Broyden needs room for at least 1 update.")

    def solve(self, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
        progress = Progress(self, z0, states_at, keep="lowest")
        packing = Packing.of(z0)
        z = packing.pack(z0)
        g = packing.pack(f(z0)) - z
        inverse = _InverseJacobian(min(self.memory or self.max_steps, self.max_steps), like=z)
        direction = g
        while True:
            point = self._step(f, packing, z, g, direction, progress.still_running)
            going = progress.record(packing.unpack(point.z), point.image, packing.unpack(point.g))
            if progress.step >= _STALL_STEPS:
                progress.stall(self._stalled(progress.latest_measures(_STALL_STEPS)))
            if not going or not progress.running:
                return progress.solution()
            inverse.update(point.z - z, point.g - g)
            z, g = point.z, point.g
            if (kept := progress.shrink()) is not None:
                f = remaining(f, kept)
                inverse.select(kept)
                z, g = z[kept], g[kept]
            direction = -inverse.times(g)

    def _step(self, f: Map, packing: Packing, z: Tensor, g: Tensor, direction: Tensor, searching: Tensor) -> _Point:
        """searching: (B,) bool, the samples for which another trial is worth its evaluation."""
        point = _Point.at(f, packing, z + direction)
        if not self.line_search:
            return point
        before = g.square().sum(dim=1)
        length = torch.ones_like(before)
        for _ in range(_ARMIJO_TRIALS):
            enough = point.g.square().sum(dim=1) <= (1 - 2 * _ARMIJO_SHARE * length) * before
            if bool((enough | ~searching).all()):
                break
            length = torch.where(enough, length, length / 2)
            point = _Point.at(f, packing, z + length[:, None] * direction)
        return point

    def _stalled(self, last: Tensor) -> Tensor:
        still = last.amax(dim=0) < _STALL_SPREAD * last.amin(dim=0)
        return still & (last[-1] < _STALL_TOLERANCES * self.tolerance)


@dataclass(frozen=True)
class _Point:
    z: Tensor
    image: State
    g: Tensor

    @classmethod
    def at(cls, f: Map, packing: Packing, z: Tensor) -> _Point:
        image = f(packing.unpack(z))
        return cls(z, image, packing.pack(image) - z)


class _InverseJacobian:
    """-I + sum_i left_i right_i^T; left and right (B, memory, D)."""

    def __init__(self, memory: int, like: Tensor) -> None:
        size, width = like.shape
        self.left = like.new_empty(size, memory, width)
        self.right = like.new_empty(size, memory, width)
        self.kept = 0

    def times(self, vector: Tensor) -> Tensor:
        return self._apply(self.left, self.right, vector)

    def _transposed_times(self, vector: Tensor) -> Tensor:
        return self._apply(self.right, self.left, vector)

    def _apply(self, outer: Tensor, inner: Tensor, vector: Tensor) -> Tensor:
        with unmixed(vector.device):
            shares = torch.einsum("bmd,bd->bm", inner[:, : self.kept], vector)
            return torch.einsum("bm,bmd->bd", shares, outer[:, : self.kept]) - vector

    def update(self, step: Tensor, change: Tensor) -> None:
        """Makes the inverse map `change` of g to the `step` of z. A sample for which that is undefined keeps its own."""
        if self.kept == self.left.shape[1]:
            # Without its oldest term alone, the sum would be the inverse of nothing, and can repel.
            self.kept = 0
        right = self._transposed_times(step)
        left = (step - self.times(change)) / (right * change).sum(dim=1, keepdim=True)
        defined = (left.isfinite() & right.isfinite()).all(dim=1, keepdim=True)
        self.left[:, self.kept] = torch.where(defined, left, 0)
        self.right[:, self.kept] = torch.where(defined, right, 0)
        self.kept += 1

    def select(self, kept: Tensor) -> None:
        self.left, self.right = self.left[kept], self.right[kept]
