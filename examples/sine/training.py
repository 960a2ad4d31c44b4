"""Training of the sine network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from examples.sine.network import SineNetwork

POINTS = 200
EPOCHS = 600
_LEARNING_RATE = 0.01
_PENALTY = 0.5


@dataclass(frozen=True)
class Epoch:
    """Before the epoch's update. loss: with the penalty. sigma: the largest singular value of the recurrent weight."""

    loss: float
    sigma: float


def sine_points(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """x and sin(x), (POINTS, 1) each, evenly over two periods around 0."""
    x = torch.linspace(-2 * math.pi, 2 * math.pi, POINTS, dtype=dtype)[:, None]
    return x, x.sin()


def new_network(seed: int, dtype: torch.dtype = torch.float32) -> SineNetwork:
    """Drawn in float32 whatever the dtype, so that both precisions start from the same weights."""
    torch.manual_seed(seed)
    return SineNetwork().to(dtype)


def fit_sine(network: SineNetwork, epochs: int = EPOCHS) -> list[Epoch]:
    """Adam on all points at once; the loss is the mean squared error and 0.5 times what sigma has above 1."""
    x, y = sine_points(network.output.weight.dtype)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    history = []
    for _ in range(epochs):
        sigma = network.largest_singular_value
        loss = mse_loss(network(x), y) + _PENALTY * torch.relu(sigma - 1)
        history.append(Epoch(loss.item(), sigma.item()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return history
