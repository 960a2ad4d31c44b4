"""Fixed-point correction (arXiv 2204.08442, section 3.3): which states on the way to the fixed point are supervised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, get_args

from torch import Tensor

from flowbench.deq.gradients import Gradient, PhantomGradient
from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, S, SelectableMap, detach, each_part, select

SegmentStart = Literal["supervised", "solved"]


@dataclass(frozen=True)
class Supervised(Generic[S]):
    """One solve of a training step: its supervised states, in order, and its statistics."""

    states: list[S]
    stats: SolverStats


class Solve(Protocol[S]):
    """Solver.solve for one map, without gradient."""

    def __call__(self, solver: Solver[Any], z0: S, states_at: Sequence[int] = (), /) -> Solution[S]: ...


class Corrections(Protocol):
    """The choice of supervised states of a solve, and their gradients."""

    def check(self, solver: Solver[Any]) -> None:
        """ValueError where the solver's steps do not allow these corrections."""

    def run(
        self, solve: Solve[S], f: Map[S], z0: S, solver: Solver[Any], gradient: Gradient
    ) -> Iterator[Supervised[S]]:
        """Solves, and attaches a gradient to the supervised states.

        Args:
            solve: solves from a state.
            f: the map that gradient flows through.
            z0: where the first solve starts.
            solver: its steps are divided among the corrections.
            gradient: of the last correction.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class _EvenCorrections:
    """Corrections at equal numbers of the solver's steps.

    Args:
        count: how many states are supervised.
        phantom: the gradient of all corrections but the last, or a list of their gradients. None: that of the last correction
            if it is a phantom gradient, else the one-step gradient.
    """

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

    def check(self, solver: Solver[Any]) -> None:
        if solver.max_steps < self.count:
            raise ValueError(f"{self.count} corrections need at least as many steps: max_steps={solver.max_steps}.")

    def _gradients(self, last: Gradient) -> list[Gradient]:
        if isinstance(self.phantom, Sequence):
            return [*self.phantom, last]
        other = self.phantom or (last if isinstance(last, PhantomGradient) else PhantomGradient())
        return [other] * (self.count - 1) + [last]


@dataclass(frozen=True, kw_only=True)
class SegmentedCorrection(_EvenCorrections):
    """The solver runs once per segment of its steps, and each segment goes on from the one before.

    Args:
        start: the state that the next segment starts from. "supervised": the state after the phantom steps. "solved": the
            solver's state, from which the phantom steps started, too (v1 of DEQ-Flow's code).
    """

    start: SegmentStart = "supervised"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in get_args(SegmentStart):
            raise ValueError(f"start={self.start!r}: choose one of {', '.join(get_args(SegmentStart))}.")

    def run(
        self, solve: Solve[S], f: Map[S], z0: S, solver: Solver[Any], gradient: Gradient
    ) -> Iterator[Supervised[S]]:
        segment, z = solver.with_steps(solver.max_steps // self.count), z0
        for attached in self._gradients(gradient):
            solution = solve(segment, z)
            states = _attach(attached, f, solution.z, solution.stats)
            yield Supervised(states, solution.stats)
            z = detach(states[-1]) if self.start == "supervised" else solution.z


@dataclass(frozen=True, kw_only=True)
class IndexedCorrection(_EvenCorrections):
    """One solve, whose states at evenly spaced steps are supervised. If it ends early, its last state is repeated."""

    def run(
        self, solve: Solve[S], f: Map[S], z0: S, solver: Solver[Any], gradient: Gradient
    ) -> Iterator[Supervised[S]]:
        spacing = solver.max_steps // self.count
        solution = solve(solver, z0, [spacing * (number + 1) for number in range(self.count)])
        states: list[S] = []
        for state, attached in zip(solution.states, self._gradients(gradient), strict=True):
            states += _attach(attached, f, state, solution.stats)
        yield Supervised(states, solution.stats)


def _attach(gradient: Gradient, f: Map[S], z: S, stats: SolverStats) -> list[S]:
    """A sample whose solve diverged keeps its last finite state, without gradient: f has no finite value there."""
    healthy = stats.reason != StopReason.DIVERGED
    if bool(healthy.all()) or not isinstance(f, SelectableMap):
        return gradient.attach(f, z)
    index = healthy.nonzero().squeeze(1)
    if index.numel() == 0:
        return [detach(z)] * gradient.count

    def put_back(batch: Tensor, part: Tensor) -> Tensor:
        return batch.index_copy(0, index, part)

    return [each_part(put_back, detach(z), state) for state in gradient.attach(f.select(index), select(z, index))]
