"""Products with the transposed Jacobian of a map that was evaluated with gradient."""

from __future__ import annotations

import torch

from flowbench.deq.state import State


def vector_jacobian(image: State, z: State, vector: State, *, differentiable: bool = False) -> State:
    """vector^T J, J = d image / dz. Parts of the image that do not depend on z contribute nothing.

    Args:
        image: f(z), evaluated with gradient.
        z: where it was evaluated.
        vector: of the image's shapes.
        differentiable: whether the product itself has a gradient.
    """
    reached = [(part, weights) for part, weights in zip(image, vector, strict=True) if part.requires_grad]
    if not reached:
        return tuple(torch.zeros_like(part) for part in z)
    outputs, vectors = zip(*reached, strict=True)
    return torch.autograd.grad(
        outputs,
        z,
        vectors,
        retain_graph=True,
        create_graph=differentiable,
        allow_unused=True,
        materialize_grads=True,
    )
