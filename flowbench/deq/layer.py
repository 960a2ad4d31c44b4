"""An implicit layer: a solver, a gradient, and which states are supervised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from flowbench.deq.corrections import Corrections, Sliced
from flowbench.deq.fixed_point import FixedPoint
from flowbench.deq.gradients import Gradient, PhantomGradient
from flowbench.deq.jacobian import JacobianPenalty
from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, State

_MOST_STEPS = 2**16


@dataclass(frozen=True)
class Training:
    """states: what the loss sees, in order, the best one last. stats: one a solve, in order. regularisation: what is to be
    added to the loss, or None."""

    states: list[State]
    stats: list[SolverStats]
    regularisation: Tensor | None

    @property
    def summary(self) -> SolverStats:
        """The last solve's, but for the steps of all together, and the divergence of any."""
        last = self.stats[-1]
        diverged = torch.stack([each.reason == StopReason.DIVERGED for each in self.stats]).any(dim=0)
        return replace(
            last,
            steps=torch.stack([each.steps for each in self.stats]).sum(dim=0),
            reason=torch.where(diverged, int(StopReason.DIVERGED), last.reason),
        )


@dataclass(frozen=True, kw_only=True)
class DEQ:
    """z = f(z) as a layer (Bai et al., arXiv 1909.01377).

    solver: finds z. gradient: differentiates it. corrections: which states are supervised. eval_steps: the step limit of
    `solve`; None for `eval_factor` times that of training. jacobian: a penalty on the Jacobian at the last supervised state.
    """

    solver: Solver = field(default_factory=FixedPoint)
    gradient: Gradient = field(default_factory=PhantomGradient)
    corrections: Corrections = field(default_factory=Sliced)
    eval_steps: int | None = None
    eval_factor: float = 1.5
    jacobian: JacobianPenalty | None = None

    def __post_init__(self) -> None:
        self.corrections.check(self.solver)
        if self.eval_steps is not None and self.eval_steps < 1:
            raise ValueError(f"eval_steps={self.eval_steps}: a solver needs at least 1 step.")
        if not 1 <= self.solver.max_steps * self.eval_factor < _MOST_STEPS:
            raise ValueError(f"eval_factor={self.eval_factor}: it leaves no step, or {_MOST_STEPS:,} and more.")

    @property
    def eval_limit(self) -> int:
        return self.eval_steps or int(self.solver.max_steps * self.eval_factor)

    def train(self, f: Map, z0: State, whole: Map | None = None) -> Training:
        """The states to supervise; gradient flows from them to what f depends on, never into z0.

        whole: f with all its derivatives, for the penalty, where f itself holds some of them back.
        """
        states, stats = [], []
        for correction in self.corrections.run(f, z0, self.solver, self.gradient):
            states += correction.states
            if not any(correction.solution.stats is known for known in stats):
                stats.append(correction.solution.stats)
        penalty = self.jacobian(whole or f, states[-1]) if self.jacobian and self.jacobian.weight else None
        return Training(states, stats, penalty)

    @torch.no_grad()
    def solve(self, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
        """The fixed point, without gradient."""
        return self.solver.with_steps(self.eval_limit).solve(f, z0, states_at)
