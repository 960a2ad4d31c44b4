"""Learning rates over the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim.lr_scheduler import MultiStepLR, OneCycleLR


def one_cycle(
    optimizer: torch.optim.Optimizer, *, steps: int, warm_up: float = 0.05, overhang: int = 100
) -> OneCycleLR:
    """RAFT's schedule: linear warm-up over the share `warm_up` of the steps, linear decay to zero.

    The peak is the learning rate that the optimiser was built with. overhang: the decay would reach zero this many steps
    after the run has ended; RAFT's 100 are nothing in 100,000 steps, but a fifth of 500.
    """
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
