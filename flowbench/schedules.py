"""Learning rates over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR


def one_cycle(
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    warm_up: float = 0.05,
    extra_steps: int = 100,
    hours: float | None = None,
) -> LRScheduler:
    """RAFT's schedule: linear warm-up, linear decay to zero. The peak is the learning rate that the optimiser was built with.

    Args:
        optimizer: Its learning rate is scheduled.
        steps: Steps of the run.
        warm_up: Share of the run in which the rate rises.
        extra_steps: Steps after the end of the run at which the decay would reach zero. RAFT has 100, which is nothing in
            100,000 steps, but a fifth of 500.
        hours: Where given, the rate follows the clock as well: see `TimedOneCycle`.
    """
    if hours is not None:
        return TimedOneCycle(optimizer, steps=steps + extra_steps, hours=hours, warm_up=warm_up)
    peaks = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(
        optimizer,
        peaks,
        total_steps=steps + extra_steps,
        pct_start=warm_up,
        cycle_momentum=False,
        anneal_strategy="linear",
    )


def multi_step_epochs(
    optimizer: torch.optim.Optimizer, *, milestones: Sequence[int], steps_per_epoch: int, gamma: float = 0.5
) -> MultiStepLR:
    """A schedule published in epochs: the rate is multiplied by gamma at the start of each epoch in `milestones`.

    Args:
        optimizer: Its learning rate is scheduled.
        milestones: Epochs, counted from 0.
        steps_per_epoch: The scheduler is moved once per step.
        gamma: Factor of the rate.
    """
    return MultiStepLR(optimizer, [epoch * steps_per_epoch for epoch in milestones], gamma)


class TimedOneCycle(LRScheduler):
    """One cycle over a run that ends by the clock: linear warm-up, linear decay to zero.

    The rate is a function of max(steps done / steps, time spent / time allowed), so it is zero when the time is over,
    however fast the machine. The time is not measured here: the training loop sets `elapsed`.

    Args:
        optimizer: What is scheduled; its rates are the peaks.
        steps: Steps after which the rate is zero even if time is left.
        hours: Time after which the rate is zero.
        warm_up: Share of the run in which the rate rises from a 25th of the peak.
    """

    _FIRST_SHARE = 1 / 25  # as OneCycleLR's

    def __init__(self, optimizer: torch.optim.Optimizer, *, steps: int, hours: float, warm_up: float = 0.05) -> None:
        self.steps, self.hours, self.warm_up = steps, hours, warm_up
        self.elapsed = 0.0  # seconds
        super().__init__(optimizer)

    @property
    def progress(self) -> float:
        """Share of the run that is over, from 0 to 1."""
        return min(1.0, max(self.last_epoch / self.steps, self.elapsed / (3600 * self.hours)))

    def get_lr(self) -> list[float | Tensor]:
        share = float(np.interp(self.progress, [0, self.warm_up, 1], [self._FIRST_SHARE, 1, 0]))
        return [peak * share for peak in self.base_lrs]
