"""The result of a solve."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic

from torch import Tensor

from flowbench.deq.state import S


class StopReason(IntEnum):
    """The reason why a sample stopped."""

    STEP_LIMIT = 0
    CONVERGED = 1
    STALLED = 2
    DIVERGED = 3


@dataclass(frozen=True)
class SolverStats:
    """Statistics of a solve: one value per sample, (B,), or one row per sample, (B, steps).

    Attributes:
        steps: how many steps the sample took.
        best_step: the step that gave the state returned.
        abs_residual: ||f(z) - z|| at that step.
        rel_residual: the same over ||f(z)|| + 1e-8.
        reason: a StopReason.
        abs_trace, rel_trace: the residuals of every step, NaN after the sample has stopped.
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
        states: the result after each of the steps `states_at`, in that order; after the end of a solve, its last state.
        stats: of the solve.
        memory: of a map with memory, after its last evaluation; None where samples were dropped on the way.
    """

    z: S
    states: list[S]
    stats: SolverStats
    memory: Any = None
