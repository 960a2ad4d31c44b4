"""Products with the transposed Jacobian of a map that was evaluated with gradient."""

from __future__ import annotations

import torch

from flowbench.deq.state import State


def vector_jacobian(image: State, z: State, vector: State, *, differentiable: bool = False) -> State:
    """vector^T J, J = d image / dz. A part of the image that does not depend on z has no share in it."""
    reached = [(part, given) for part, given in zip(image, vector, strict=True) if part.requires_grad]
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
