"""Gradients of a fixed point: from the solution to the states that a loss may see."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from flowbench.deq.broyden import Broyden
from flowbench.deq.solution import StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, S, State, detach, each_part, where
from flowbench.deq.vector_products import vector_jacobian


class Gradient(Protocol):
    """count: how many states `attach` gives."""

    @property
    def count(self) -> int: ...

    def attach(self, f: Map[S], z: S) -> list[S]:
        """States that carry gradient to what f depends on, the last being the best one. No gradient flows into z."""
        ...


@dataclass(frozen=True, kw_only=True)
class PhantomGradient:
    """`steps` damped steps z <- (1 - tau) z + tau f(z) from the solution are recorded (Geng et al., arXiv 2111.05177).

    steps=1 and tau=1 is the one-step gradient.

    Args:
        steps: how many steps are recorded.
        tau: the share of f(z), above 0 and at most 1.
        supervise_all: whether the loss sees each of these states, not the last alone.
    """

    steps: int = 1
    tau: float = 1.0
    supervise_all: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps}: a phantom gradient needs at least 1 step.")
        if not 0 < self.tau <= 1:
            raise ValueError(f"tau={self.tau}: give a share above 0 and at most 1.")

    @property
    def count(self) -> int:
        return self.steps if self.supervise_all else 1

    def attach(self, f: Map[S], z: S) -> list[S]:
        z, states = detach(z), []
        for _ in range(self.steps):
            image = f(z)
            z = image if self.tau == 1 else each_part(lambda a, b: torch.lerp(a, b, self.tau), z, image)
            states.append(z)
        return states[-self.count :]


@dataclass(frozen=True, kw_only=True)
class ImplicitGradient:
    """The implicit function theorem: the gradient at the fixed point is the solution g of g = J^T g + dloss/dz.

    A sample on which the solver diverges gets the one-step gradient, with a warning.

    Args:
        solver: solves the equation of the gradient, from 0; a relative tolerance suits gradients of any scale.
        safe: takes J at f(z), on a graph of its own, rather than at z.
    """

    solver: Solver[Any] = field(default_factory=lambda: Broyden(mode="relative"))
    safe: bool = False
    count: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.solver.converged == "drop":
            raise ValueError('converged="drop" is not for the backward solver: use "freeze".')

    def attach(self, f: Map[S], z: S) -> list[S]:
        z = _leaves(z)
        image = f(z)
        if not self.safe:
            return [_through_solver(self.solver, image, z, image)]
        around = _leaves(image)
        return [_through_solver(self.solver, image, around, f(around))]


def _leaves(z: S) -> S:
    return each_part(lambda tensor: tensor.detach().requires_grad_(), z)


def _through_solver(solver: Solver[Any], image: S, around: S, image_around: S) -> S:
    def solved(gradient: State) -> State:
        def adjoint(vector: State) -> State:
            products = vector_jacobian(image_around, around, vector)
            return each_part(torch.add, products, gradient)

        solution = solver.solve(adjoint, each_part(torch.zeros_like, gradient))
        diverged = solution.stats.reason == StopReason.DIVERGED
        if not bool(diverged.any()):
            return solution.z
        warnings.warn(
            f"The backward solver diverged on {int(diverged.sum())} of {len(diverged)} samples: they get the one-step "
            "gradient.",
            stacklevel=2,
        )
        return where(diverged, gradient, solution.z)

    return _Adjoint.apply(solved, *image)


class _Adjoint(torch.autograd.Function):
    """The identity, whose gradient is `solved` for before it goes on."""

    @staticmethod
    def forward(ctx: Any, solved: Callable[[State], State], *image: Tensor) -> State:
        ctx.solved = solved
        return tuple(part.view_as(part) for part in image)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradient: Tensor) -> tuple[None, *State]:
        return None, *ctx.solved(gradient)
