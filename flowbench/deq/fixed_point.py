"""Fixed-point iteration, plain and damped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowbench.deq.progress import Progress, remaining
from flowbench.deq.solution import Solution
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, State


@dataclass(frozen=True, kw_only=True)
class FixedPoint(Solver):
    """z <- f(z); returns the last f(z)."""

    def solve(self, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
        progress = Progress(self, z0, states_at, keep="latest")
        going = True
        while going:
            image = f(progress.state)
            change = tuple(a - b for a, b in zip(image, progress.state, strict=True))
            going = progress.record(image, image, change)
            if going and (kept := progress.shrink()) is not None:
                f = remaining(f, kept)
        return progress.solution()


@dataclass(frozen=True, kw_only=True)
class Damped(FixedPoint):
    """Krasnoselskii-Mann iteration, z <- (1 - damping) z + damping f(z).

    It is the plain iteration of that averaged map: residuals are ||z' - z||, which is `damping` times ||f(z) - z||, relative
    to ||z'||; returns the last z'.
    """

    damping: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.damping <= 1:
            raise ValueError(f"damping={self.damping}: give a share above 0 and at most 1.")

    def solve(self, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
        return super().solve(_Averaged(f, self.damping), z0, states_at)


@dataclass(frozen=True)
class _Averaged:
    f: Map
    share: float

    def __call__(self, state: State) -> State:
        return tuple(torch.lerp(a, b, self.share) for a, b in zip(state, self.f(state), strict=True))

    def select(self, index: Tensor) -> _Averaged:
        return _Averaged(remaining(self.f, index), self.share)
