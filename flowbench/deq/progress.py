"""The record of one solve: residuals, the samples that have stopped and why, and the result so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal

import torch
from torch import Tensor

from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.state import S, each_part, norms, select, where, widest
from flowbench.deq.stopping import StoppingRule

Keep = Literal["latest", "lowest"]
_RUNNING = -1
# Keeps the relative residual finite where f(z) is zero, as the published implementations do.
_SMALLEST_SIZE = 1e-8


class Progress(Generic[S]):
    """The state of one solve, for the loop that drives a solver.

    `record` and `stall` work on masks that stay on the device; `settle` reads one number from it. Records per sample are of
    the full batch, also where samples were dropped.

    Args:
        rule: when samples stop.
        z0: where the solve starts.
        states_at: steps after which the state is wanted.
        keep: whether the latest state is the result or that of the lowest residual.

    Attributes:
        state: the result so far, of the samples still in the batch.
        steps: how many were recorded.
        batch: how many samples are still in the batch.
        residuals: of each step the residual that decides, (size,); NaN where a sample took no step.
    """

    def __init__(self, rule: StoppingRule, z0: S, states_at: Sequence[int], keep: Keep) -> None:
        size, device, dtype = z0[0].shape[0], z0[0].device, widest(z0)
        if rule.component is not None and not 0 <= rule.component < len(z0):
            raise ValueError(f"component={rule.component}: the state has the parts 0 to {len(z0) - 1}.")
        self.rule = rule
        self.keep = keep
        self.state = z0
        self.steps = 0
        self.batch = size
        self.residuals: list[Tensor] = []
        self._states_at = states_at
        self._snapshots: dict[int, S] = {}
        # The samples still in the batch, and the state of all, where some were dropped.
        self._rows: Tensor | None = None
        self._full: S = z0
        self._candidate: S = z0
        self._better = torch.zeros(size, dtype=torch.bool, device=device)
        self._traces: list[Tensor] = []
        self._reason = torch.full((size,), _RUNNING, device=device)
        self._steps_taken = torch.zeros(size, dtype=torch.long, device=device)
        self._best_step = torch.zeros(size, dtype=torch.long, device=device)
        self._residual_kept = torch.full((2, size), torch.inf, dtype=dtype, device=device)
        self._to_beat = torch.full((size,), torch.inf, dtype=dtype, device=device)

    @property
    def running(self) -> Tensor:
        """(B,) bool, of the samples still in the batch."""
        return self._in_batch(self._reason == _RUNNING)

    def record(self, candidate: S, image: S, change: S, *, provisional: bool = False) -> None:
        """Records a step; see solver.Step.

        Args:
            candidate: `Step.returned`.
            image: f(z).
            change: f(z) - z.
            provisional: see Step.
        """
        self.steps += 1
        residual, healthy = self._residual(image, change)
        running = self._reason == _RUNNING
        residual = torch.where(running, residual, torch.nan)
        self._traces.append(residual)
        deciding = residual[0] if self.rule.mode == "absolute" else residual[1]
        self.residuals.append(deciding)
        self._steps_taken += running

        better = running & healthy
        if self.keep == "lowest":
            better = better & (deciding < self._to_beat)
            if not provisional:
                self._to_beat = torch.where(better, deciding, self._to_beat)
        self._candidate, self._better = candidate, better
        self._residual_kept = torch.where(better, residual, self._residual_kept)
        self._best_step = torch.where(better, self.steps, self._best_step)
        self._stop(running & ~healthy, StopReason.DIVERGED)
        self._stop(self._converged(running & healthy, deciding), StopReason.CONVERGED)

    def stall(self, stalled: Tensor) -> None:
        """stalled: (size,) bool."""
        self._stop(stalled & (self._reason == _RUNNING), StopReason.STALLED)

    def settle(self) -> int:
        """Ends the step: takes over the candidate where it is better. Returns how many samples still run."""
        running, better = self._counts()
        if better == self.batch:
            self.state = self._candidate
        elif better != 0:
            self.state = where(self._in_batch(self._better), self._candidate, self.state)
        if self.steps in self._states_at:
            self._snapshots[self.steps] = self._of_all()
        return running

    def drop(self, running: int) -> Tensor:
        """Takes the samples that have stopped out of the batch. Returns the indices in the batch of those that remain."""
        mask = self.running
        # As nonzero, whose size the host would have to wait for.
        index = mask.to(torch.uint8).argsort(descending=True, stable=True)[:running]
        self._full = self._of_all()
        self._rows = index if self._rows is None else self._rows[index]
        self.state = select(self.state, index)
        self.batch = running
        return index

    def solution(self, memory: Any = None) -> Solution[S]:
        """memory: that of the map after its last evaluation."""
        state = self._of_all()
        reason = torch.where(self._reason == _RUNNING, int(StopReason.STEP_LIMIT), self._reason)
        traces = torch.stack(self._traces, dim=2)
        stats = SolverStats(
            steps=self._steps_taken,
            best_step=self._best_step,
            abs_residual=self._residual_kept[0],
            rel_residual=self._residual_kept[1],
            reason=reason,
            abs_trace=traces[0],
            rel_trace=traces[1],
        )
        states = [self._snapshots.get(step, state) for step in self._states_at]
        return Solution(state, states, stats, memory if self._rows is None else None)

    def _residual(self, image: S, change: S) -> tuple[Tensor, Tensor]:
        """Of all samples: the residuals (2, size), absolute and relative, and whether every part of the change is finite."""
        changes, sizes = norms(change), norms(image)
        healthy = changes.isfinite().all(dim=0)
        if self.rule.component is not None:
            changes, sizes = changes[self.rule.component, None], sizes[self.rule.component, None]
        absolute = changes.norm(dim=0)
        residual = torch.stack([absolute, absolute / (sizes.norm(dim=0) + _SMALLEST_SIZE)])
        if self._rows is None:
            return residual, healthy
        size = self._reason.shape[0]
        return (
            residual.new_full((2, size), torch.nan).index_copy(1, self._rows, residual),
            healthy.new_zeros(size).index_copy(0, self._rows, healthy),
        )

    def _converged(self, candidates: Tensor, residual: Tensor) -> Tensor:
        within = candidates & (residual < self.rule.tolerance)
        return within & (within | ~candidates).all() if self.rule.converged == "continue" else within

    def _stop(self, which: Tensor, reason: StopReason) -> None:
        self._reason = torch.where(which, int(reason), self._reason)

    def _counts(self) -> tuple[int, int | None]:
        """How many samples still run, and for how many the candidate is better; None where that is not read."""
        if self.rule.tolerance == 0:
            return self.batch, None
        base = self.batch + 1
        # Both in one number, so that the host waits for the device once.
        both = ((self._reason == _RUNNING).sum() * base + self._better.sum()).item()
        running, better = divmod(int(both), base)
        return running, better

    def _in_batch(self, mask: Tensor) -> Tensor:
        return mask if self._rows is None else mask[self._rows]

    def _of_all(self) -> S:
        """The current states of the full batch."""
        rows = self._rows
        if rows is None:
            return self.state
        return each_part(lambda full, part: full.index_copy(0, rows, part), self._full, self.state)
