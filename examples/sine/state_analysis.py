"""Convergence of a state's dimensions, each at its own pace."""

from __future__ import annotations

import torch
from torch import Tensor


def explained_variance(states: Tensor) -> Tensor:
    """(D,): the share of the variance that the first, the first two, ... principal components hold. states: (..., D)."""
    samples = states.flatten(0, -2)
    variances = torch.linalg.svdvals(samples - samples.mean(dim=0)).square()
    return variances.cumsum(0) / variances.sum()


def movements(states: Tensor) -> Tensor:
    """(steps - 1, N, D): how far each dimension moves from one step to the next. states: (steps, N, D)."""
    return states.diff(dim=0).abs()


def first_still_step(states: Tensor, tolerance: float) -> Tensor:
    """(N, D): the first step i, counted from 1, after which a dimension moves less than the tolerance, |z(i+1) - z(i)|.

    A dimension that never does gets the number of steps. states: (steps, N, D).
    """
    still = movements(states) < tolerance
    never = torch.ones_like(still[:1])
    return torch.cat([still, never]).int().argmax(dim=0) + 1


def dimensions_a_step(first_still: Tensor, steps: int) -> Tensor:
    """(steps,): how many dimensions of a sample become still at step 1, 2, ..., in the mean. first_still: (N, D)."""
    return torch.stack([(first_still == step).double().sum(dim=-1).mean() for step in range(1, steps + 1)])
