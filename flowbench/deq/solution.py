"""The result of a solve."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic

from torch import Tensor

from flowbench.deq.state import S


class StopReason(IntEnum):
    """Why the solver left a sample."""

    STEP_LIMIT = 0
    CONVERGED = 1
    STALLED = 2
    DIVERGED = 3


@dataclass(frozen=True)
class SolverStats:
    """How a solve went: one value per sample, (B,), or one row per sample, (B, steps).

    Attributes:
        steps: how many steps the sample took.
        best_step: the step that gave the state returned.
        abs_residual: ||f(z) - z|| at that step.
        rel_residual: the same over ||f(z)|| + 1e-8.
        reason: a StopReason.
        abs_trace, rel_trace: the residuals of every step, NaN where the sample took none any more.
    """

    steps: Tensor
    best_step: Tensor
    abs_residual: Tensor
    rel_residual: Tensor
    reason: Tensor
    abs_trace: Tensor
    rel_trace: Tensor

    def as_dict(self) -> dict[str, Tensor]:
        return dict(vars(self))


@dataclass(frozen=True)
class Solution(Generic[S]):
    """The result of a solve.

    Attributes:
        z: the state found.
        states: what would have been returned after each of the steps asked for, in that order; a solve that ended before
            one of them gives its last state there.
        stats: how it went.
        memory: that of a map with memory after its last evaluation; None where samples were dropped on the way.
    """

    z: S
    states: list[S]
    stats: SolverStats
    memory: Any = None
