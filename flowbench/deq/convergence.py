"""The convergence of each dimension of a state, recorded during a solve.

A dimension is one number of the state. Its first step under a tolerance is the first step, counted from 1, that changes it by
less, |z(s) - z(s-1)| < tolerance, as in the DeltaDEQ paper (NeurIPS 2024). Later steps may change it by more again, so the
step from which it stays under the tolerance is recorded, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from flowbench.deq.fixed_point import FixedPoint
from flowbench.deq.solution import Solution
from flowbench.deq.state import Map, S


class Convergence:
    """The record of one part of a state, (B, C, ...): its last value and a few numbers per dimension.

    Args:
        start: the state before the first step.
        tolerances: absolute, in the units of the state, each above zero.
    """

    def __init__(self, start: Tensor, tolerances: Sequence[float]) -> None:
        if not tolerances or not all(tolerance > 0 for tolerance in tolerances):
            raise ValueError(f"tolerances={list(tolerances)}: give one or more numbers above 0.")
        self.tolerances = tuple(tolerances)
        self.steps = 0
        self._state = start
        self._first_under = [torch.zeros_like(start, dtype=torch.int16) for _ in tolerances]
        self._last_over = [torch.zeros_like(start, dtype=torch.int16) for _ in tolerances]
        self._energy: list[Tensor] = []
        self._sizes: list[Tensor] = []

    def record(self, state: Tensor) -> None:
        """The state after the next step."""
        self.steps += 1
        change = state - self._state
        distance = change.abs()
        for tolerance, first_under, last_over in zip(self.tolerances, self._first_under, self._last_over, strict=True):
            under = distance < tolerance
            first_under[under & (first_under == 0)] = self.steps
            last_over[~under] = self.steps
        self._energy.append(_squares(change))
        self._sizes.append(_squares(state).sum(dim=1).sqrt())
        self._state = state

    def first_under(self, tolerance: float) -> Tensor:
        """(B, C, ...) int64: each dimension's first step under one of `tolerances`; `steps` + 1 where none is."""
        first = self._first_under[self.tolerances.index(tolerance)].long()
        return torch.where(first == 0, self.steps + 1, first)

    def under_from(self, tolerance: float) -> Tensor:
        """(B, C, ...) int64: the step from which on each dimension stays under the tolerance; `steps` + 1 where none is."""
        return self._last_over[self.tolerances.index(tolerance)].long() + 1

    @property
    def energy(self) -> Tensor:
        """(steps, B, C) float64: the squared change of each channel at each step."""
        return torch.stack(self._energy)

    @property
    def cumulative_energy(self) -> Tensor:
        """(steps, B): the share of all squared change that is over after step 1, 2, ...; 1 where nothing moves."""
        summed = self.energy.sum(dim=2).cumsum(dim=0)
        return torch.where(summed[-1] > 0, summed / summed[-1], 1.0)

    @property
    def changes(self) -> Tensor:
        """(steps, B): ||z(s) - z(s-1)||."""
        return self.energy.sum(dim=2).sqrt()

    @property
    def relative_changes(self) -> Tensor:
        """(steps, B): ||z(s) - z(s-1)|| / (||z(s)|| + 1e-8)."""
        return self.changes / (torch.stack(self._sizes) + 1e-8)


def solve_traced(
    solver: FixedPoint, f: Map[S], z0: S, tolerances: Sequence[float]
) -> tuple[Solution[S], list[Convergence]]:
    """Solves z = f(z) from z0, without gradient, and records the convergence of each part of the state.

    Args:
        solver: one that follows a single state and keeps its batch. A sample that it leaves at a step, because it has
            converged or diverged, does not move from there on.
        f: the map.
        z0: where the solve starts.
        tolerances: those of `Convergence`.
    """
    if solver.converged == "drop":
        raise ValueError(
            'converged="drop" takes samples out of the batch: use "freeze" or "continue" to trace a solve.'
        )
    parts = [Convergence(part, tolerances) for part in z0]
    watched = _Watched(f, parts)
    with torch.no_grad():
        solution = solver.solve(watched, z0)
    watched.note(solution.z)
    return solution, parts


@dataclass
class _Watched(Generic[S]):
    """A map that records the states at which it is evaluated: with a fixed-point solver, all states but the last."""

    f: Map[S]
    parts: Sequence[Convergence]
    started: bool = False

    def __call__(self, state: S) -> S:
        if self.started:
            self.note(state)
        self.started = True
        return self.f(state)

    def note(self, state: S) -> None:
        for part, tensor in zip(self.parts, state, strict=True):
            part.record(tensor)


def _squares(state: Tensor) -> Tensor:
    """(B, C): the sum of the squares of each channel."""
    return state.double().flatten(2).square().sum(dim=2) if state.ndim > 2 else state.double().square()
