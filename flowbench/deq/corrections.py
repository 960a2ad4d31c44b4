"""Fixed-point correction (arXiv 2204.08442, section 3.3): which states of the way to the fixed point are supervised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch

from flowbench.deq.gradients import Gradient, PhantomGradient
from flowbench.deq.solution import Solution, StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, State, detach, select

SliceStart = Literal["supervised", "solved"]


@dataclass(frozen=True)
class Correction:
    """states: what the loss sees here. solution: the solve that led to them."""

    states: list[State]
    solution: Solution


class Corrections(Protocol):
    def check(self, solver: Solver) -> None:
        """ValueError where the solver's steps do not allow these corrections."""

    def run(self, f: Map, z0: State, solver: Solver, gradient: Gradient) -> Iterator[Correction]:
        """The corrections in order, the last with `gradient`."""


@dataclass(frozen=True, kw_only=True)
class _Spaced:
    """count: how many corrections share the solver's steps evenly. phantom: the gradient of all but the last, for which None
    stands for the last one's own where that is a phantom gradient, and for the one-step gradient where it is not. It may
    be a list, one for each of the corrections before the last."""

    count: int = 1
    phantom: PhantomGradient | Sequence[PhantomGradient] | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count={self.count}: at least 1 state must be supervised.")
        if not isinstance(self.phantom, PhantomGradient | Sequence | None):
            raise ValueError(f"phantom={self.phantom!r}: give a PhantomGradient, a list of them, or nothing.")
        if isinstance(self.phantom, Sequence) and len(self.phantom) != self.count - 1:
            raise ValueError(
                f"phantom has {len(self.phantom)} gradients: {self.count - 1} are wanted, one for each but the last."
            )

    def check(self, solver: Solver) -> None:
        if solver.max_steps < self.count:
            raise ValueError(f"{self.count} corrections need at least as many steps: max_steps={solver.max_steps}.")

    def _share(self, solver: Solver) -> int:
        return solver.max_steps // self.count

    def _gradients(self, last: Gradient) -> list[Gradient]:
        if isinstance(self.phantom, Sequence):
            return [*self.phantom, last]
        other = self.phantom or (last if isinstance(last, PhantomGradient) else PhantomGradient())
        return [other] * (self.count - 1) + [last]


@dataclass(frozen=True, kw_only=True)
class Sliced(_Spaced):
    """The solver runs once a slice of its steps, and each slice goes on from the one before.

    start: from which of its states. "supervised": the one behind the phantom steps. "solved": the solver's own, from which
    the phantom steps started, too (v1 of DEQ-Flow's code).
    """

    start: SliceStart = "supervised"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in get_args(SliceStart):
            raise ValueError(f"start={self.start!r}: choose one of {', '.join(get_args(SliceStart))}.")

    def run(self, f: Map, z0: State, solver: Solver, gradient: Gradient) -> Iterator[Correction]:
        part, z = solver.with_steps(self._share(solver)), z0
        for attached in self._gradients(gradient):
            solution = _solve(part, f, z)
            states = _attach(attached, f, solution.z, solution)
            yield Correction(states, solution)
            z = detach(states[-1]) if self.start == "supervised" else solution.z


@dataclass(frozen=True, kw_only=True)
class Indexing(_Spaced):
    """One solve; its states at evenly spaced steps are supervised. One that ends early gives its last state again."""

    def run(self, f: Map, z0: State, solver: Solver, gradient: Gradient) -> Iterator[Correction]:
        share = self._share(solver)
        gradients = self._gradients(gradient)
        solution = _solve(solver, f, z0, [share * (number + 1) for number in range(self.count)])
        for state, attached in zip(solution.states, gradients, strict=True):
            yield Correction(_attach(attached, f, state, solution), solution)


def _attach(gradient: Gradient, f: Map, z: State, solution: Solution) -> list[State]:
    """A sample whose solve diverged keeps its last finite state, without gradient: f has no finite value there."""
    healthy = solution.stats.reason != StopReason.DIVERGED
    if bool(healthy.all()) or not hasattr(f, "select"):
        return gradient.attach(f, z)
    kept = healthy.nonzero().squeeze(1)
    if kept.numel() == 0:
        return [detach(z)] * gradient.count
    return [
        tuple(whole.index_copy(0, kept, part) for whole, part in zip(detach(z), state, strict=True))
        for state in gradient.attach(f.select(kept), select(z, kept))
    ]


@torch.no_grad()
def _solve(solver: Solver, f: Map, z0: State, states_at: Sequence[int] = ()) -> Solution:
    return solver.solve(f, detach(z0), states_at)
