"""The base of every effect: a switch and ranges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real

import numpy as np
from numpy.random import Generator

from flowbench.errors import FlowBenchError

Range = tuple[float, float]
"""(low, high): each pair draws a value between them."""

Pair = tuple[np.ndarray, np.ndarray]
"""image1 and image2, (H, W, 3) uint8 RGB."""


@dataclass(frozen=True)
class Effect(ABC):
    """A change of both images that leaves the geometry as it is.

    All other fields of an effect are ranges, given as two numbers. Sizes in pixels are for 384x512 and scale with the images.

    Args:
        probability: the share of pairs that are changed; 0 switches the effect off.

    Raises FlowBenchError for a probability outside [0, 1] and for a range that is not (low, high).
    """

    probability: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not _is_number(self.probability) or not 0 <= self.probability <= 1:
            raise FlowBenchError(
                f"{name}.probability is {self.probability!r}: give a share from 0 (off) to 1 (always)."
            )
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if not _is_range(value):
                raise FlowBenchError(f"{name}.{field.name} is {value!r}: give two numbers, the lower one first.")
            object.__setattr__(self, field.name, (float(value[0]), float(value[1])))

    @abstractmethod
    def apply(self, pair: Pair, rng: Generator, scale: float) -> Pair:
        """The changed images.

        Args:
            pair: image1 and image2, which are not changed in place.
            rng: draws the effect's parameters.
            scale: the images' size over 384x512.
        """


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_range(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    return all(_is_number(number) for number in value) and value[0] <= value[1]
