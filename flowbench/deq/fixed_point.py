"""Fixed-point iteration, plain and damped."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flowbench.deq.solver import Solver, Step
from flowbench.deq.state import Map, S, difference, each_part


@dataclass(frozen=True, kw_only=True)
class FixedPoint(Solver[None]):
    """z <- f(z); returns the last f(z)."""

    def init(self, f: Map[S], z0: S) -> None:
        return None

    def step(self, f: Map[S], z: S, carry: None, running: Tensor) -> Step[S, None]:
        image = self.advance(f, z)
        return Step(returned=image, image=image, change=difference(image, z), carry=None)

    def select(self, carry: None, index: Tensor) -> None:
        return None

    def advance(self, f: Map[S], z: S) -> S:
        """The next z."""
        return f(z)


@dataclass(frozen=True, kw_only=True)
class Damped(FixedPoint):
    """Krasnoselskii-Mann iteration, z <- (1 - damping) z + damping f(z).

    It is the plain iteration of that averaged map: residuals are ||z' - z||, which is `damping` times ||f(z) - z||, relative
    to ||z'||; returns the last z'.

    Args:
        damping: the share of f(z), above 0 and at most 1.
    """

    damping: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.damping <= 1:
            raise ValueError(f"damping={self.damping}: give a share above 0 and at most 1.")

    def advance(self, f: Map[S], z: S) -> S:
        return each_part(lambda a, b: torch.lerp(a, b, self.damping), z, f(z))
