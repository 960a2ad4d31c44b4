"""Solves for an image, dense and with the delta rule, and their cost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from examples.inr.network import ImplicitImage
from examples.inr.training import positions
from flowbench.deq import FixedPoint, Solution, State
from flowbench.deq.stopping import Converged
from flowbench.ops.delta.convolution import Delta, DeltaConv, DeltaMemory

MAX_STEPS = 60
TOLERANCE = 1e-3

# Height and width of the image.
Size = tuple[int, int]


@dataclass(frozen=True)
class Solved:
    """The result of a solve.

    Args:
        colour: (H W, 3).
        steps: of the solver, the mean over pixels.
        residual: relative, at the end; where each pixel has its own, the largest.
        multiplied: (H W,), number of elements of the state that were multiplied by the hidden weight, over all steps. The
            first step multiplies nothing, because the state is zero."""

    colour: Tensor
    steps: float
    residual: float
    multiplied: Tensor


@torch.no_grad()
def solve_densely(network: ImplicitImage, size: Size) -> Solved:
    """One dense solve for all pixels, until their common residual has converged."""
    injected = _injected(network, size)[None]
    solution = _solver().solve(network.step(injected), (torch.zeros_like(injected),))
    steps = solution.stats.steps.expand(injected.shape[1])
    return _solved(network, solution.z[0], solution, (steps - 1) * network.hidden.in_features)


@torch.no_grad()
def solve_pixel_by_pixel(network: ImplicitImage, size: Size) -> Solved:
    """A dense solve in which each pixel stops when it has converged by itself."""
    injected = _injected(network, size)
    solution = _solver("drop").solve(network.step(injected), (torch.zeros_like(injected),))
    return _solved(network, solution.z[0], solution, (solution.stats.steps - 1) * network.hidden.in_features)


@torch.no_grad()
def solve_without_zeros(network: ImplicitImage, size: Size) -> Solved:
    """As `solve_densely`, but elements that are zero are not counted: the saving of ReLU without a delta rule."""
    injected = _injected(network, size)[None]
    step = network.step(injected)
    multiplied = torch.zeros_like(injected[0, :, 0])

    def counting(state: State) -> State:
        multiplied.add_((state[0][0] != 0).sum(dim=-1))
        return step(state)

    solution = _solver().solve(counting, (torch.zeros_like(injected),))
    return _solved(network, solution.z[0], solution, multiplied)


@torch.no_grad()
def solve_with_delta(network: ImplicitImage, size: Size, delta: Delta) -> Solved:
    """A solve in which the hidden layer is a delta convolution, 1x1, over the image.

    Args:
        network: fitted to the image.
        size: (height, width).
        delta: the rule.
    """
    step = DeltaStep(network, _injected(network, size).view(1, *size, -1).permute(0, 3, 1, 2), delta)
    solution = _solver().solve(step, (torch.zeros_like(step.injected),))
    z = solution.z[0].permute(0, 2, 3, 1).flatten(1, 2)
    return _solved(network, z, solution, step.multiplied.flatten())


class DeltaStep:
    """The steps of one solve from zero.

    Attributes:
        memory: of the hidden layer, None before the first step.
        multiplied: (H, W), elements of the state that were multiplied so far."""

    def __init__(self, network: ImplicitImage, injected: Tensor, delta: Delta) -> None:
        self.activation = network.activation
        self.hidden = DeltaConv.from_weight(network.hidden.weight[..., None, None], None, padding=(0, 0))
        self.injected = injected
        self.delta = delta
        self.memory: DeltaMemory | None = None
        self.multiplied = torch.zeros_like(injected[0, 0])

    def __call__(self, state: State) -> State:
        result = self.hidden(state[0], self.memory, self.delta, constant=self.injected)
        self.memory = result.memory
        if result.active is not None:
            channels = self.injected.shape[1] // result.active.shape[1]
            self.multiplied += channels * result.active.sum(dim=(0, 1))
        return (self.activation(result.output),)


def _injected(network: ImplicitImage, size: Size) -> Tensor:
    return network.inject(positions(*size).to(network.output.weight.dtype))


def _solver(converged: Converged = "freeze") -> FixedPoint:
    return FixedPoint(max_steps=MAX_STEPS, tolerance=TOLERANCE, mode="relative", converged=converged)


def _solved(network: ImplicitImage, z: Tensor, solution: Solution[tuple[Tensor, ...]], multiplied: Tensor) -> Solved:
    stats = solution.stats
    colour = network.output(z).reshape(-1, 3)
    return Solved(colour, stats.steps.double().mean().item(), stats.rel_residual.max().item(), multiplied)
