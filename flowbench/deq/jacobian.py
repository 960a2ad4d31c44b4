"""The Jacobian J = df/dz at a state: its spectral radius, and a penalty that keeps it small."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from flowbench.deq.state import Map, S, State, each_part, norms
from flowbench.deq.vector_products import vector_jacobian


@dataclass(frozen=True, kw_only=True)
class JacobianPenalty:
    """weight times Hutchinson's estimate of ||J||_F^2 / D (Bai et al., arXiv 2106.14342), D being the number of unknowns.

    Args:
        weight: factor of the estimate, 0 or more.
        samples: number of Gaussian vectors of the estimate.
    """

    weight: float
    samples: int = 2

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight={self.weight}: a penalty has a weight of 0 or more.")
        if self.samples < 1:
            raise ValueError(f"samples={self.samples}: the estimate needs at least 1 vector.")

    def __call__(self, f: Map[S], z: S) -> Tensor:
        """A scalar with gradient to what f depends on."""
        z = each_part(lambda part: part.detach().requires_grad_(), z)
        image = f(z)
        size = sum(part.numel() for part in image)
        squares = [
            _sum([part.square().sum() for part in vector_jacobian(image, z, _gaussian(image), differentiable=True)])
            for _ in range(self.samples)
        ]
        return self.weight * torch.stack(squares).mean() / size


@torch.enable_grad()
def spectral_radius(f: Map[S], z: S, *, steps: int = 75) -> Tensor:
    """(B,): the magnitude of J's largest eigenvalue at z, by power iteration. Below 1, f contracts around z.

    Args:
        f: the map.
        z: the state.
        steps: of the power iteration.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}: the power iteration needs at least 1 step.")
    z = each_part(lambda part: part.detach().requires_grad_(), z)
    image = f(z)
    vector = _unit(_gaussian(image))
    quotient = image[0].new_zeros(image[0].shape[0])
    for _ in range(steps):
        product = vector_jacobian(image, z, vector)
        quotient = _sum([(a * b).flatten(1).sum(dim=1) for a, b in zip(vector, product, strict=True)])
        vector = _unit(product)
    return quotient.abs()


def _sum(terms: list[Tensor]) -> Tensor:
    return reduce(torch.add, terms)


def _gaussian(like: S) -> S:
    return each_part(torch.randn_like, like)


def _unit(vector: State) -> State:
    length = norms(vector).norm(dim=0).clamp_min(torch.finfo(torch.float32).tiny)
    return tuple(part / length.to(part.dtype).view(-1, *[1] * (part.ndim - 1)) for part in vector)
