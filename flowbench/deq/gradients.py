"""How a fixed point is differentiated. A gradient takes the solution and gives the states that a loss may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from flowbench.deq.broyden import Broyden
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, State, detach


class Gradient(Protocol):
    def attach(self, f: Map, z: State) -> list[State]:
        """States that carry gradient to what f depends on, the last being the best one. No gradient flows into z."""


@dataclass(frozen=True, kw_only=True)
class PhantomGradient:
    """`steps` damped steps z <- (1 - tau) z + tau f(z) from the solution are recorded (Geng et al., arXiv 2111.05177).

    steps=1 and tau=1 is the one-step gradient. supervise_all: the loss sees each of these states, not the last alone.
    """

    steps: int = 1
    tau: float = 1.0
    supervise_all: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps}: a phantom gradient needs at least 1 step.")
        if not 0 < self.tau <= 1:
            raise ValueError(f"tau={self.tau}: give a share above 0 and at most 1.")

    def attach(self, f: Map, z: State) -> list[State]:
        z, states = detach(z), []
        for _ in range(self.steps):
            image = f(z)
            z = image if self.tau == 1 else tuple(torch.lerp(a, b, self.tau) for a, b in zip(z, image, strict=True))
            states.append(z)
        return states if self.supervise_all else states[-1:]


@dataclass(frozen=True, kw_only=True)
class ImplicitGradient:
    """The implicit function theorem: the gradient at the fixed point is the solution g of g = J^T g + dloss/dz.

    solver: solves that equation, from 0. safe: takes J at f(z), on a graph of its own, rather than at z.
    """

    solver: Solver = field(default_factory=Broyden)
    safe: bool = False

    def attach(self, f: Map, z: State) -> list[State]:
        z = _leaves(z)
        image = f(z)
        if not self.safe:
            return [_through_solver(self.solver, image, _TransposedJacobian(z, image))]
        around = _leaves(image)
        return [_through_solver(self.solver, image, _TransposedJacobian(around, f(around)))]


def _leaves(z: State) -> State:
    return tuple(tensor.detach().requires_grad_() for tensor in z)


@dataclass(frozen=True)
class _TransposedJacobian:
    z: State
    image: State

    def times(self, vector: State) -> State:
        # A component may not depend on another, or on anything: its share is zero then.
        reached = [(part, given) for part, given in zip(self.image, vector, strict=True) if part.requires_grad]
        outputs, vectors = zip(*reached, strict=True)
        return torch.autograd.grad(
            outputs, self.z, vectors, retain_graph=True, allow_unused=True, materialize_grads=True
        )


def _through_solver(solver: Solver, image: State, jacobian: _TransposedJacobian) -> State:
    def solved(gradient: State) -> State:
        def adjoint(vector: State) -> State:
            return tuple(a + b for a, b in zip(jacobian.times(vector), gradient, strict=True))

        return solver.solve(adjoint, tuple(torch.zeros_like(part) for part in gradient)).z

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
