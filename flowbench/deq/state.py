"""States, the maps between them, and the few operations that solvers need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, Self, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor

# A state is a tuple of tensors whose first dimension is the batch.
State = tuple[Tensor, ...]

S = TypeVar("S", bound=State)
M = TypeVar("M", bound="Memory")


class Map(Protocol[S]):
    """f: a state -> a state of the same shapes."""

    def __call__(self, state: S, /) -> S: ...


@runtime_checkable
class SelectableMap(Map[S], Protocol[S]):
    """A map that can be restricted to a part of the batch, so that solvers leave out the samples that have converged."""

    def select(self, index: Tensor) -> Self:
        """index: (N,) int64, the samples that remain."""
        ...


class Memory(Protocol):
    """The memory that an evaluation of f passes on to the next one of the same solve."""

    def select(self, index: Tensor) -> Self:
        """index: (N,) int64, the samples that remain."""
        ...


class MapWithMemory(Protocol[S, M]):
    """f: a state and a memory -> a state of the same shapes and the memory for the next evaluation.

    An evaluation may change the memory that it is given: to evaluate f twice with the same memory, make a copy.
    """

    def __call__(self, state: S, memory: M, /) -> tuple[S, M]: ...

    def select(self, index: Tensor) -> Self:
        """index: (N,) int64, the samples that remain."""
        ...


def each_part(function: Callable[..., Tensor], *states: S) -> S:
    """The state whose parts are `function` of the parts of the states given."""
    return cast(S, tuple(function(*parts) for parts in zip(*states, strict=True)))


def difference(a: S, b: S) -> S:
    return each_part(torch.sub, a, b)


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
    """Switches mixed precision off: a solver's own arithmetic subtracts large numbers that are nearly equal."""
    return torch.autocast(device.type, enabled=False)


def select(state: S, index: Tensor) -> S:
    """The samples at index, (N,) int64."""
    return each_part(lambda tensor: tensor[index], state)


def where(condition: Tensor, chosen: S, other: S) -> S:
    """torch.where by sample.

    Args:
        condition: (B,) bool.
        chosen: taken where it is true.
        other: taken elsewhere.
    """
    return each_part(lambda a, b: torch.where(_alongside(condition, a), a, b), chosen, other)


def _alongside(condition: Tensor, tensor: Tensor) -> Tensor:
    return condition.view(-1, *[1] * (tensor.ndim - 1))


def detach(state: S) -> S:
    return each_part(Tensor.detach, state)


@dataclass(frozen=True)
class Packing:
    """The layout of a state in one matrix (B, D), for solvers that need vectors.

    Args:
        shapes: of the state's parts, without the batch.
        dtypes: of the state's parts.
        packed: dtype of the matrix.
    """

    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    packed: torch.dtype

    @classmethod
    def of(cls, state: State) -> Packing:
        return cls(
            shapes=tuple(tensor.shape[1:] for tensor in state),
            dtypes=tuple(tensor.dtype for tensor in state),
            packed=widest(state),
        )

    @property
    def width(self) -> int:
        """D."""
        return sum(shape.numel() for shape in self.shapes)

    def pack(self, state: State) -> Tensor:
        return torch.cat([tensor.flatten(1).to(self.packed) for tensor in state], dim=1)

    def unpack(self, packed: Tensor) -> Any:
        """The state, with the shapes and dtypes of the one that the packing was made of."""
        parts = packed.split([shape.numel() for shape in self.shapes], dim=1)
        return tuple(
            part.reshape(-1, *shape).to(dtype)
            for part, shape, dtype in zip(parts, self.shapes, self.dtypes, strict=True)
        )
