"""States: tuples of tensors whose first dimension is the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

State = tuple[Tensor, ...]

# f: a state -> a state of the same shapes. One that can also serve part of a batch has a method
# `select(index: LongTensor) -> Map`, which solvers call to leave out the samples that have converged.
Map = Callable[[State], State]


def widest(state: State) -> torch.dtype:
    """The dtype that holds every part of the state, at least float32."""
    return reduce(torch.promote_types, (tensor.dtype for tensor in state), torch.float32)


def norms(state: State) -> Tensor:
    """(components, B): the Euclidean norm of each sample in each component."""
    dtype = widest(state)
    return torch.stack(
        [torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), dtype=dtype) for tensor in state]
    )


def unmixed(device: torch.device) -> torch.autocast:
    """Inside, products keep their operands' precision: a solver's own arithmetic is on absolute states."""
    return torch.autocast(device.type, enabled=False)


def select(state: State, index: Tensor) -> State:
    return tuple(tensor[index] for tensor in state)


def where(condition: Tensor, chosen: State, other: State) -> State:
    """condition: (B,) bool."""
    return tuple(torch.where(_alongside(condition, a), a, b) for a, b in zip(chosen, other, strict=True))


def _alongside(condition: Tensor, tensor: Tensor) -> Tensor:
    return condition.view(-1, *[1] * (tensor.ndim - 1))


def detach(state: State) -> State:
    return tuple(tensor.detach() for tensor in state)


@dataclass(frozen=True)
class Packing:
    """How a state lies in one matrix (B, D), for the solvers that need vectors."""

    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    packed: torch.dtype

    @classmethod
    def of(cls, state: State) -> Packing:
        return cls(tuple(tensor.shape[1:] for tensor in state), tuple(tensor.dtype for tensor in state), widest(state))

    def pack(self, state: State) -> Tensor:
        return torch.cat([tensor.flatten(1).to(self.packed) for tensor in state], dim=1)

    def unpack(self, packed: Tensor) -> State:
        parts = packed.split([shape.numel() for shape in self.shapes], dim=1)
        return tuple(
            part.reshape(-1, *shape).to(dtype)
            for part, shape, dtype in zip(parts, self.shapes, self.dtypes, strict=True)
        )
