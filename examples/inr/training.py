"""Training of the network on an image."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from examples.inr.network import ImplicitImage
from flowbench.deq import DEQ, FixedPoint, JacobianPenalty, PhantomGradient
from flowbench.images import unit_range

# The state of an epoch starts from that of the epoch before, which the small change of the weights has moved little. Without
# the penalty, the sine has pixels that never converge.
_LAYER = DEQ(
    solver=FixedPoint(max_steps=2, tolerance=1e-9),
    gradient=PhantomGradient(steps=2),
    jacobian=JacobianPenalty(weight=3e-3, samples=1),
)
_LEARNING_RATE = 5e-3
_LAST_SHARE = 0.02


def positions(height: int, width: int) -> Tensor:
    """(H W, 2): x in (-1, 1) from left to right, y in the same units from top to bottom, row by row."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([2 * x / width - 1, (2 * y - height) / width], dim=-1).reshape(-1, 2)


def colours(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (H W, 3) in [0, 1], row by row."""
    return unit_range(torch.from_numpy(image).reshape(-1, 3))


def fit_image(network: ImplicitImage, image: np.ndarray, epochs: int) -> list[float]:
    """Trains with Adam on all pixels at once, with a cosine schedule; returns the PSNR (dB) of each epoch.

    Args:
        network: is trained in place.
        image: (H, W, 3) uint8 RGB.
        epochs: steps, one for all pixels each.
    """
    where, wanted = positions(*image.shape[:2]), colours(image)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=_LAST_SHARE * _LEARNING_RATE)
    state = (torch.zeros(1, len(where), network.hidden.in_features),)
    history = []
    for _ in range(epochs):
        training = _LAYER.forward_train(network.step(network.inject(where)), state)
        (z,) = training.states[-1]
        colour = network.output(z)[0]
        loss = mse_loss(colour, wanted)
        if training.regularisation is not None:
            loss = loss + training.regularisation
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        state = (z.detach(),)
        history.append(psnr(colour.detach(), wanted))
    return history


def psnr(colour: Tensor, wanted: Tensor) -> float:
    """Of colours in [0, 1], the estimate cut to that range: 10 log10(1 / mean squared error), in dB."""
    return -10 * math.log10(mse_loss(colour.clamp(0, 1), wanted).item())
