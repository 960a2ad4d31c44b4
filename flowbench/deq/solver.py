"""What all solvers of z = f(z) have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from flowbench.deq.solution import Solution
from flowbench.deq.state import Map, State

Mode = Literal["absolute", "relative"]
Converged = Literal["freeze", "drop", "continue"]


@dataclass(frozen=True, kw_only=True)
class Solver(ABC):
    """max_steps: at most this many steps. tolerance: a sample has converged once its residual is smaller. mode: whether that
    is the absolute or the relative residual. component: the part of the state whose residual counts; None for all of it.

    converged: what happens to a sample that has converged while others of its batch have not. "freeze": it keeps its state,
    but f still computes it. "drop": f no longer sees it, for which f needs `select`. "continue": it goes on until all are
    within the tolerance at the same step.
    """

    max_steps: int = 40
    tolerance: float = 1e-3
    mode: Mode = "absolute"
    component: int | None = None
    converged: Converged = "freeze"

    def __post_init__(self) -> None:
        if not isinstance(self.max_steps, int) or self.max_steps < 1:
            raise ValueError(f"max_steps={self.max_steps}: a solver needs at least 1 step.")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance={self.tolerance}: give a tolerance above 0.")
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode={self.mode!r}: choose one of {', '.join(get_args(Mode))}.")
        if self.converged not in get_args(Converged):
            raise ValueError(f"converged={self.converged!r}: choose one of {', '.join(get_args(Converged))}.")

    @abstractmethod
    def solve(self, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
        """Looks for z = f(z) from z0. states_at: steps after which the state is wanted, too (see Solution.states)."""

    def with_steps(self, max_steps: int) -> Self:
        return replace(self, max_steps=max_steps)
