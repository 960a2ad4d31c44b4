"""One solve as it goes on: residuals, who has stopped and why, and what will be returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, State, norms, select, where, widest

Keep = Literal["latest", "lowest"]
_RUNNING = -1


class Progress:
    """Solvers call `record` once a step and stop when it says so.

    keep: whether the latest state is returned or that of the lowest residual. Tensors here are of the samples still in the
    batch; with converged="drop", `shrink` takes out those that have stopped and puts their results aside.
    """

    def __init__(self, solver: Solver, z0: State, states_at: Sequence[int], keep: Keep) -> None:
        size, device = z0[0].shape[0], z0[0].device
        if solver.component is not None and not 0 <= solver.component < len(z0):
            raise ValueError(f"component={solver.component}: the state has the parts 0 to {len(z0) - 1}.")
        self.solver = solver
        self.keep = keep
        self.state = z0
        self.step = 0
        self._states_at = states_at
        self._snapshots: dict[int, State] = {}
        self._rows = torch.arange(size, device=device)
        self._traces: list[tuple[Tensor, Tensor, Tensor]] = []
        self._set_aside: State | None = None
        # One row a sample of the whole batch.
        self._reason = torch.full((size,), _RUNNING, device=device)
        self._steps = torch.zeros(size, dtype=torch.long, device=device)
        self._best_step = torch.zeros(size, dtype=torch.long, device=device)
        dtype = widest(z0)
        self._residual_kept = torch.full((2, size), torch.inf, dtype=dtype, device=device)
        self._to_beat = torch.full((size,), torch.inf, dtype=dtype, device=device)

    def latest_measures(self, steps: int) -> Tensor:
        """(steps, B): the last residuals that decide, of the samples still in the batch."""
        row = 0 if self.solver.mode == "absolute" else 1
        return torch.stack([trace[row][torch.isin(trace[2], self._rows)] for trace in self._traces[-steps:]])

    def record(self, candidate: State, image: State, change: State, *, provisional: bool = False) -> bool:
        """candidate: what this step would return. image: f(z). change: f(z) - z. provisional: the next step replaces the
        candidate, whatever its residual. Returns whether to go on."""
        self.step += 1
        residual, healthy = self._residual(image, change)
        rows = self._rows
        running = self.still_running
        measure = residual[0] if self.solver.mode == "absolute" else residual[1]
        self._traces.append((*torch.where(running, residual, torch.nan), rows))
        self._steps[rows] += running.long()

        better = running & healthy
        if self.keep == "lowest":
            better = better & (measure < self._to_beat[rows])
            if not provisional:
                self._to_beat[rows] = torch.where(better, measure, self._to_beat[rows])
        self._adopt(candidate, better, residual)
        self._stop(running & ~healthy, StopReason.DIVERGED)
        self._stop(self._converged(running & healthy, measure), StopReason.CONVERGED)
        if self.step in self._states_at:
            self._snapshots[self.step] = self._whole()
        return self.step < self.solver.max_steps and self.running

    @property
    def running(self) -> bool:
        return bool(self.still_running.any())

    @property
    def still_running(self) -> Tensor:
        """(B,) bool, of the samples still in the batch."""
        return self._reason[self._rows] == _RUNNING

    def stall(self, stalled: Tensor) -> None:
        """stalled: (B,) bool, samples that make no headway any more."""
        self._stop(stalled & self.still_running, StopReason.STALLED)

    def shrink(self) -> Tensor | None:
        """Where samples are to be dropped and some have stopped: which of the samples in the batch remain, else None."""
        if self.solver.converged != "drop":
            return None
        running = self.still_running
        if bool(running.all()):
            return None
        self._set_aside = self._whole()
        kept = running.nonzero().squeeze(1)
        self._rows = self._rows[kept]
        self.state = select(self.state, kept)
        return kept

    def solution(self) -> Solution:
        whole = self._whole()
        reason = torch.where(self._reason == _RUNNING, int(StopReason.STEP_LIMIT), self._reason)
        abs_trace, rel_trace = (self._whole_trace(row) for row in range(2))
        stats = SolverStats(self._steps, self._best_step, *self._residual_kept, reason, abs_trace, rel_trace)
        return Solution(whole, [self._snapshots.get(step, whole) for step in self._states_at], stats)

    def _residual(self, image: State, change: State) -> tuple[Tensor, Tensor]:
        """The residuals (2, B), absolute and relative, and whether every part of the change is finite."""
        changes, sizes = norms(change), norms(image)
        healthy = changes.isfinite().all(dim=0)
        if self.solver.component is not None:
            changes, sizes = changes[self.solver.component, None], sizes[self.solver.component, None]
        absolute = changes.norm(dim=0)
        return torch.stack([absolute, absolute / (sizes.norm(dim=0) + 1e-8)]), healthy

    def _adopt(self, candidate: State, better: Tensor, residual: Tensor) -> None:
        if bool(better.all()):
            self.state = candidate
        elif bool(better.any()):
            self.state = where(better, candidate, self.state)
        rows = self._rows[better]
        self._residual_kept[:, rows] = residual[:, better]
        self._best_step[rows] = self.step

    def _converged(self, healthy: Tensor, measure: Tensor) -> Tensor:
        within = healthy & (measure < self.solver.tolerance)
        if self.solver.converged == "continue" and not bool((within | ~healthy).all()):
            return torch.zeros_like(within)
        return within

    def _stop(self, which: Tensor, reason: StopReason) -> None:
        self._reason[self._rows[which]] = int(reason)

    def _whole(self) -> State:
        """The states of the whole batch as they are now."""
        if self._set_aside is None:
            return self.state
        return tuple(
            whole.index_copy(0, self._rows, part) for whole, part in zip(self._set_aside, self.state, strict=True)
        )

    def _whole_trace(self, row: int) -> Tensor:
        whole = self._residual_kept.new_full((len(self._traces), self._reason.shape[0]), torch.nan)
        for step, trace in enumerate(self._traces):
            whole[step, trace[2]] = trace[row]
        return whole.T


def remaining(f: Map, kept: Tensor) -> Map:
    """f for the samples that are kept."""
    if not hasattr(f, "select"):
        raise ValueError('converged="drop" needs a map with a method select(index): add it, or use converged="freeze".')
    return f.select(kept)
