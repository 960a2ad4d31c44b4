"""Sequences of pairs: the videos of a data set, in which a pair may start from the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.structures import FlowOutput

if TYPE_CHECKING:
    from flowbench.models.base import FlowModel


def sequence_of(key: str) -> str:
    """The sequence of a pair by its key: "sintel/clean/alley_1" of "sintel/clean/alley_1/0007"."""
    return key.rpartition("/")[0]


class WarmStart:
    """Goes along pairs, and starts each from the pair before where it continues that one.

    A pair continues another of its sequence whose second picture is its first; all others start cold. So a gap in a
    sequence ends what is carried over, and pairs that only share a folder, as KITTI's do, carry nothing over. warm_pairs:
    how many did not start cold.
    """

    def __init__(self, model: FlowModel) -> None:
        self._model = model
        self._sequence = ""
        self._last_picture: Tensor | np.ndarray | None = None
        self._reuse: Any = None
        self.warm_pairs = 0

    def estimate(self, image1: Tensor | np.ndarray, image2: Tensor | np.ndarray, key: str = "") -> FlowOutput:
        """`FlowModel.estimate` of one pair; stats["warm"] (B,) tells whether it started from the pair before.

        Raises FlowBenchError for a model that cannot.
        """
        reuse = self._reuse if self._continues(image1, sequence_of(key)) else None
        output = self._model.estimate(image1, image2, reuse)
        if output.reuse is None:
            raise FlowBenchError(f"{self._model.name} cannot start from the previous pair: leave warm_start out.")
        output.stats["warm"] = torch.full((output.flow.shape[0],), int(reuse is not None), device=output.flow.device)
        self.warm_pairs += reuse is not None
        self._sequence, self._last_picture = sequence_of(key), image2
        # A flow that is not finite would spoil all pairs that follow.
        self._reuse = output.reuse if bool(torch.isfinite(output.flow).all()) else None
        return output

    def _continues(self, picture: Tensor | np.ndarray, sequence: str) -> bool:
        return sequence == self._sequence and _same(picture, self._last_picture)


def _same(image: Tensor | np.ndarray, other: Tensor | np.ndarray | None) -> bool:
    if isinstance(image, Tensor):
        return isinstance(other, Tensor) and torch.equal(image, other)
    return isinstance(other, np.ndarray) and np.array_equal(image, other)
