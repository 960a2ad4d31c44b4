"""Solvers of z = f(z): the base class, and the loop that drives every solver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from torch import Tensor

from flowbench.deq.progress import Keep, Progress
from flowbench.deq.solution import Solution
from flowbench.deq.state import M, Map, MapWithMemory, Memory, S, SelectableMap
from flowbench.deq.stopping import StoppingRule

C = TypeVar("C")


@dataclass(frozen=True)
class Step(Generic[S, C]):
    """The result of one step of a solver.

    Args:
        returned: the state that is the result, if the solve ends here or this step remains the best.
        image: f(z), whose norm divides the relative residual.
        change: f(z) - z, whose norm is the residual.
        carry: what the solver needs at its next step.
        provisional: the next step's state is preferred to this one's, whatever their residuals.
    """

    returned: S
    image: S
    change: S
    carry: C
    provisional: bool = False


@dataclass(frozen=True, kw_only=True)
class Solver(StoppingRule, ABC, Generic[C]):
    """A method of solving z = f(z), as an immutable object. C is what it carries from one step to the next.

    A solver defines `init`, `step` and `select`; `iterate` does the rest: the loop, the residuals and the stopping of
    samples. All samples of a batch are independent problems, so a solver never mixes them.
    """

    # Which state is the result: that of the last step, or that of the lowest residual.
    keep: ClassVar[Keep] = "latest"

    @abstractmethod
    def init(self, f: Map[S], z0: S) -> C:
        """The carry of the first step."""

    @abstractmethod
    def step(self, f: Map[S], z: S, carry: C, running: Tensor) -> Step[S, C]:
        """One step.

        Args:
            f: the map.
            z: the state that would be the result now; z0 at the first step. Samples that have stopped keep it.
            carry: of the step before, or of `init`; it may be changed in place.
            running: (B,) bool, the samples that have not stopped. Results of the others are not used.
        """

    @abstractmethod
    def select(self, carry: C, index: Tensor) -> C:
        """The carry for part of the batch. index: (N,) int64, the samples that remain."""

    def stalled(self, residuals: Sequence[Tensor]) -> Tensor | None:
        """(B,) bool: the samples that make no more progress; None for a solver that does not judge that.

        residuals: (B,) per step so far, of the kind that decides; NaN where a sample took no step.
        """
        return None

    @overload
    def solve(self, f: Map[S], z0: S, states_at: Sequence[int] = ()) -> Solution[S]: ...

    @overload
    def solve(self, f: MapWithMemory[S, M], z0: S, states_at: Sequence[int] = (), *, memory: M) -> Solution[S]: ...

    def solve(self, f: Any, z0: S, states_at: Sequence[int] = (), *, memory: Any = None) -> Solution[S]:
        """Looks for z = f(z) from z0.

        Args:
            f: the map; with a memory, one of state and memory.
            z0: where the search starts.
            states_at: steps after which the state is wanted, too; see Solution.states.
            memory: what the first evaluation of f starts from, where f needs one.
        """
        return iterate(self, f, z0, states_at, memory=memory)

    def with_steps(self, max_steps: int) -> Self:
        return replace(self, max_steps=max_steps)


def iterate(
    solver: Solver[C], f: Any, z0: S, states_at: Sequence[int] = (), *, memory: Memory | None = None
) -> Solution[S]:
    """Drives a solver until all samples have stopped.

    Masks stay on the device: the host reads one number per step, and none with a tolerance of 0.

    Args:
        solver: which is driven.
        f, z0, states_at, memory: see `Solver.solve`.
    """
    evaluate: _Evaluation[S] = _Evaluation(f, memory)
    progress: Progress[S] = Progress(solver, z0, states_at, solver.keep)
    carry = solver.init(evaluate, z0)
    while True:
        step = solver.step(evaluate, progress.state, carry, progress.running)
        carry = step.carry
        progress.record(step.returned, step.image, step.change, provisional=step.provisional)
        if (stalled := solver.stalled(progress.residuals)) is not None:
            progress.stall(stalled)
        running = progress.settle()
        if running == 0 or progress.steps == solver.max_steps:
            return progress.solution(evaluate.memory)
        if solver.converged == "drop" and running < progress.batch:
            index = progress.drop(running)
            evaluate = evaluate.select(index)
            carry = solver.select(carry, index)


class _Evaluation(Generic[S]):
    """f as a solver sees it, a map of states. A memory, if there is one, goes from each evaluation to the next."""

    def __init__(self, f: Any, memory: Any) -> None:
        self.f = f
        self.memory = memory

    def __call__(self, state: S, /) -> S:
        if self.memory is None:
            return self.f(state)
        image, self.memory = self.f(state, self.memory)
        return image

    def select(self, index: Tensor) -> _Evaluation[S]:
        if not isinstance(self.f, SelectableMap):
            raise ValueError(
                'converged="drop" needs a map with a method select(index): add it, or use converged="freeze".'
            )
        memory = None if self.memory is None else self.memory.select(index)
        return _Evaluation(self.f.select(index), memory)
