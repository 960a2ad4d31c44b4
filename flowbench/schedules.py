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
    overhang: int = 100,
    hours: float | None = None,
) -> LRScheduler:
    """RAFT's schedule: linear warm-up, linear decay to zero. The peak is the learning rate that the optimiser was built with.

    Args:
        optimizer: What is scheduled.
        steps: Steps of the run.
        warm_up: Share of the run in which the rate rises.
        overhang: The decay would reach zero this many steps after the run has ended; RAFT's 100 are nothing in 100,000
            steps, but a fifth of 500.
        hours: Where given, the rate follows the clock as well: see `TimedOneCycle`.
    """
    if hours is not None:
        return TimedOneCycle(optimizer, steps=steps + overhang, hours=hours, warm_up=warm_up)
    peaks = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(
        optimizer,
        peaks,
        total_steps=steps + overhang,
        pct_start=warm_up,
        cycle_momentum=False,
        anneal_strategy="linear",
    )


def multi_step_epochs(
    optimizer: torch.optim.Optimizer, *, milestones: Sequence[int], steps_per_epoch: int, gamma: float = 0.5
) -> MultiStepLR:
    """For schedules that are published in epochs: the rate is multiplied by gamma as each epoch in `milestones` begins.

    Epochs count from 0 and have steps_per_epoch steps; the scheduler is moved once a step.
    """
    return MultiStepLR(optimizer, [epoch * steps_per_epoch for epoch in milestones], gamma)


class TimedOneCycle(LRScheduler):
    """One cycle over a run that ends by the clock: linear warm-up, linear decay to zero.

    The rate is a function of max(steps done / steps, time spent / time allowed), so it has fallen to zero when the time is
    over, however fast the machine. The time is not measured here: whoever runs the training sets `elapsed`.

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
