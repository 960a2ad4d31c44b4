"""Broyden's (good) method (Broyden, "A class of methods for solving nonlinear simultaneous equations", 1965)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic

import torch
from torch import Tensor

from flowbench.deq.progress import Keep
from flowbench.deq.solver import Solver, Step
from flowbench.deq.state import Map, Packing, S, unmixed

# As in the published implementation of DEQ-Flow, a solve has stalled if over 30 steps the residual stayed within a factor of
# 1.3 and ended below 3 tolerances: so near the goal, more steps only follow the noise of the arithmetic.
_STALL_STEPS = 30
_STALL_SPREAD = 1.3
_STALL_TOLERANCES = 3
# Armijo's rule with the textbook's 1e-4 (Nocedal and Wright, section 3.1). After 8 halvings a step is 0.4% of Newton's: where
# even that does not help, the direction is wrong, and a shorter step would not mend it.
_ARMIJO_SHARE = 1e-4
_ARMIJO_TRIALS = 8


@dataclass(frozen=True, kw_only=True)
class Broyden(Solver["_Carry"]):
    """A root of g(z) = f(z) - z, with an inverse Jacobian that starts at -I and takes one rank-one update per step.

    A step evaluates f once, after one evaluation at z0. Returns the z of the lowest residual. A sample whose residual has not
    moved for 30 steps and is close to the tolerance has stalled.

    Args:
        memory: how many updates are kept; after so many the inverse starts from -I again; None keeps all.
        line_search: Armijo backtracking on ||g||^2. Each trial is one more evaluation, and one more read of the host.
    """

    keep: ClassVar[Keep] = "lowest"

    memory: int | None = None
    line_search: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory is not None and self.memory < 1:
            raise ValueError(f"memory={self.memory}: Broyden needs room for at least 1 update.")

    def init(self, f: Map[S], z0: S) -> _Carry:
        packing = Packing.of(z0)
        z = packing.pack(z0)
        inverse = _InverseJacobian(min(self.memory or self.max_steps, self.max_steps), like=z)
        return _Carry(packing, z, packing.pack(f(z0)) - z, inverse)

    def step(self, f: Map[S], z: S, carry: _Carry, running: Tensor) -> Step[S, _Carry]:
        packing, inverse = carry.packing, carry.inverse
        if carry.secant is not None:
            inverse.update(*carry.secant)
        point = self._search(f, carry, -inverse.times(carry.g), running)
        following = _Carry(packing, point.z, point.g, inverse, (point.z - carry.z, point.g - carry.g))
        return Step(packing.unpack(point.z), point.image, packing.unpack(point.g), following)

    def select(self, carry: _Carry, index: Tensor) -> _Carry:
        return carry.select(index)

    def stalled(self, residuals: Sequence[Tensor]) -> Tensor | None:
        if len(residuals) < _STALL_STEPS:
            return None
        last = torch.stack(list(residuals[-_STALL_STEPS:]))
        still = last.amax(dim=0) < _STALL_SPREAD * last.amin(dim=0)
        return still & (last[-1] < _STALL_TOLERANCES * self.tolerance)

    def _search(self, f: Map[S], carry: _Carry, direction: Tensor, running: Tensor) -> _Point[S]:
        """The next point, in this direction from the last one."""
        point = _Point.at(f, carry.packing, carry.z + direction)
        if not self.line_search:
            return point
        before = carry.g.square().sum(dim=1)
        length = torch.ones_like(before)
        for _ in range(_ARMIJO_TRIALS):
            enough = point.g.square().sum(dim=1) <= (1 - 2 * _ARMIJO_SHARE * length) * before
            if bool((enough | ~running).all()):
                break
            length = torch.where(enough, length, length / 2)
            point = _Point.at(f, carry.packing, carry.z + length[:, None] * direction)
        return point


@dataclass(frozen=True)
class _Point(Generic[S]):
    """z and g = f(z) - z, (B, D), and f(z)."""

    z: Tensor
    image: S
    g: Tensor

    @classmethod
    def at(cls, f: Map[S], packing: Packing, z: Tensor) -> _Point[S]:
        image = f(packing.unpack(z))
        return cls(z, image, packing.pack(image) - z)


@dataclass(frozen=True)
class _Carry:
    """The last point, the inverse, and the last step of z and change of g, with which the inverse is still to be updated."""

    packing: Packing
    z: Tensor
    g: Tensor
    inverse: _InverseJacobian
    secant: tuple[Tensor, Tensor] | None = None

    def select(self, index: Tensor) -> _Carry:
        self.inverse.select(index)
        secant = None if self.secant is None else (self.secant[0][index], self.secant[1][index])
        return replace(self, z=self.z[index], g=self.g[index], secant=secant)


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

    def select(self, index: Tensor) -> None:
        self.left, self.right = self.left[index], self.right[index]
