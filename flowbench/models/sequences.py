"""Sequences of pairs: the videos of a data set, in which a pair may start from the one before."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from flowbench.structures import FlowOutput

Images = Tensor | np.ndarray


class Estimate(Protocol):
    """`FlowModel.estimate`, of a network that is warm_startable."""

    def __call__(self, image1: Images, image2: Images, reuse: Any = None) -> FlowOutput: ...


def sequence_of(key: str) -> str:
    """The sequence of a pair by its key: "sintel/clean/alley_1" of "sintel/clean/alley_1/0007"."""
    return key.rpartition("/")[0]


class WarmStart:
    """Estimates of consecutive pairs, each started from the pair before where it continues that pair.

    A pair continues the one before if both are of one sequence and its first image is the other's second image. All others
    start cold: after a gap in a sequence, and where pairs only share a folder, as in KITTI.

    Attributes:
        warm_pairs: Number of pairs that did not start cold.
    """

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self._sequence = ""
        self._last_image: Images | None = None
        self._reuse: Any = None
        self.warm_pairs = 0

    def estimate(self, image1: Images, image2: Images, key: str = "") -> FlowOutput:
        """The estimate of one pair; stats["warm"] (B,) is 1 if it started from the pair before, else 0.

        Args:
            image1: As `FlowModel.estimate` takes it.
            image2: As image1; it may be the next pair's image1.
            key: The pair's name, whose parent is the sequence.
        """
        reuse = self._reuse if self._continues(image1, sequence_of(key)) else None
        output = self._estimate(image1, image2, reuse)
        output.stats["warm"] = torch.full((output.flow.shape[0],), int(reuse is not None), device=output.flow.device)
        self.warm_pairs += reuse is not None
        self._sequence, self._last_image = sequence_of(key), image2
        # A flow that is not finite would spoil all pairs that follow.
        self._reuse = output.reuse if bool(torch.isfinite(output.flow).all()) else None
        return output

    def _continues(self, image: Images, sequence: str) -> bool:
        return sequence == self._sequence and _same(image, self._last_image)


def _same(image: Images, other: Images | None) -> bool:
    if isinstance(image, Tensor):
        return isinstance(other, Tensor) and torch.equal(image, other)
    return isinstance(other, np.ndarray) and np.array_equal(image, other)
