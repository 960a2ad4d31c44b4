"""An implicit layer: a solver, a gradient, and the states that are supervised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import torch
from torch import Tensor

from flowbench.deq.corrections import Corrections, SegmentedCorrection
from flowbench.deq.fixed_point import FixedPoint
from flowbench.deq.gradients import Gradient, PhantomGradient
from flowbench.deq.jacobian import JacobianPenalty
from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, S, detach

_MOST_STEPS = 2**16


@dataclass(frozen=True)
class TrainingStates(Generic[S]):
    """The result of `DEQ.forward_train`.

    Attributes:
        states: the supervised states, in order, the best one last.
        stats: one per solve, in order.
        regularisation: a scalar to be added to the loss, or None.
    """

    states: list[S]
    stats: list[SolverStats]
    regularisation: Tensor | None

    @property
    def summary(self) -> SolverStats:
        """The last solve's, but for the steps of all together, and the divergence of any."""
        last = self.stats[-1]
        diverged = torch.stack([solve.reason == StopReason.DIVERGED for solve in self.stats]).any(dim=0)
        return replace(
            last,
            steps=torch.stack([solve.steps for solve in self.stats]).sum(dim=0),
            reason=torch.where(diverged, int(StopReason.DIVERGED), last.reason),
        )


@dataclass(frozen=True)
class SolverMap:
    """A map with a memory, and its memory, that the solver evaluates instead of f."""

    f: Any
    memory: Any


@dataclass(frozen=True, kw_only=True)
class DEQ:
    """z = f(z) as a layer (Bai et al., arXiv 1909.01377).

    Args:
        solver: finds the fixed point z.
        gradient: differentiates z.
        corrections: which states are supervised.
        eval_steps: the step limit of `solve`; None for `eval_factor` times that of training.
        eval_factor: how many times as many steps `solve` may take, where eval_steps is None.
        jacobian: a penalty on the Jacobian at the last supervised state, or None.
    """

    solver: Solver[Any] = field(default_factory=FixedPoint)
    gradient: Gradient = field(default_factory=PhantomGradient)
    corrections: Corrections = field(default_factory=SegmentedCorrection)
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

    def forward_train(
        self, f: Map[S], z0: S, *, f_with_full_gradient: Map[S] | None = None, solver_map: SolverMap | None = None
    ) -> TrainingStates[S]:
        """The states to supervise; gradient flows from them to the parameters and inputs of f, never into z0.

        Args:
            f: the map that gradient flows through.
            z0: where the first solve starts.
            f_with_full_gradient: f with all its derivatives, for the penalty, where f itself lacks some.
            solver_map: what the solver evaluates; None for f.
        """
        memory = None if solver_map is None else solver_map.memory

        @torch.no_grad()
        def solve(solver: Solver[Any], z: S, states_at: Sequence[int] = (), /) -> Solution[S]:
            nonlocal memory
            solved: Any = f if solver_map is None else solver_map.f
            solution = solver.solve(solved, detach(z), states_at, memory=memory)
            memory = solution.memory
            return solution

        parts = list(self.corrections.run(solve, f, z0, self.solver, self.gradient))
        states = [state for part in parts for state in part.states]
        penalised = f if f_with_full_gradient is None else f_with_full_gradient
        penalty = self.jacobian(penalised, states[-1]) if self.jacobian and self.jacobian.weight else None
        return TrainingStates(states, [part.stats for part in parts], penalty)

    @torch.no_grad()
    def solve(
        self, f: Map[S], z0: S, states_at: Sequence[int] = (), *, solver_map: SolverMap | None = None
    ) -> Solution[S]:
        """The fixed point, without gradient.

        Args:
            f: the map.
            z0: where the solve starts.
            states_at: steps after which the state is wanted, too; see Solution.states.
            solver_map: what the solver evaluates; None for f.
        """
        solver = self.solver.with_steps(self.eval_limit)
        if solver_map is None:
            return solver.solve(f, z0, states_at)
        return solver.solve(solver_map.f, z0, states_at, memory=solver_map.memory)
