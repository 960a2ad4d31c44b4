"""Samples, batches and outputs, which pass between data, networks and reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from flowbench.errors import FlowBenchError
from flowbench.images import unit_range


class UnequalSizesError(FlowBenchError):
    """Samples of several sizes cannot be stacked."""


class ImageSizeError(FlowBenchError):
    """Training samples of a size that the network does not take."""


class NonFiniteLossError(FlowBenchError):
    """The loss of a training step is infinite or not a number."""


@dataclass(frozen=True)
class FlowSample:
    """One image pair with its ground truth, as data sets return it and augmentations change it.

    Args:
        image1: (H, W, 3) uint8 RGB.
        image2: (H, W, 3) uint8 RGB.
        flow: (H, W, 2) float32 pixels, (u right, v down) from image1 to image2.
        valid: (H, W) bool, where the flow is known.
        occluded: (H, W) bool, where the point of image1 is not visible in image2; None where the data set does not say.
        key: the sample's name, for instance "sintel/clean/alley_1/0007".
        skipped: errors of samples that could not be read and that this one replaces.
    """

    image1: np.ndarray
    image2: np.ndarray
    flow: np.ndarray
    valid: np.ndarray
    occluded: np.ndarray | None
    key: str
    skipped: tuple[str, ...] = ()


class FlowDataset(Dataset[FlowSample], ABC):
    """A data set: samples by their index, from 0 to its length."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> FlowSample: ...


@dataclass
class FlowBatch:
    """Samples stacked for a network.

    Args:
        image1: (B, 3, H, W) float32 RGB in [0, 1].
        image2: (B, 3, H, W) float32 RGB in [0, 1].
        flow: (B, 2, H, W) float32 pixels, (u right, v down) from image1 to image2.
        valid: (B, H, W) bool, where the flow is known.
        key: the samples' names.
        occluded: (B, H, W) bool, or None where a sample has none.
        skipped: errors of samples that could not be read and were replaced.
    """

    image1: Tensor
    image2: Tensor
    flow: Tensor
    valid: Tensor
    key: list[str]
    occluded: Tensor | None = None
    skipped: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return self.image1.shape[0]

    def to(self, *args: Any, **kwargs: Any) -> FlowBatch:
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> FlowBatch:
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> FlowBatch:
        return replace(
            self,
            image1=function(self.image1),
            image2=function(self.image2),
            flow=function(self.flow),
            valid=function(self.valid),
            occluded=None if self.occluded is None else function(self.occluded),
        )

    @classmethod
    def collate(cls, samples: Sequence[FlowSample]) -> FlowBatch:
        """Stacks samples of one size; `occluded` is kept only where every sample has it."""
        return cls.packed(samples).unpacked()

    @classmethod
    def packed(cls, samples: Sequence[FlowSample], *, half_flow: bool = False) -> FlowBatch:
        """A batch for the transfer to the device: images uint8, and with `half_flow` the flow float16."""
        sizes = sorted({sample.flow.shape[:2] for sample in samples})
        if len(sizes) > 1:
            found = " and ".join(f"{height}x{width}" for height, width in sizes[:2])
            raise UnequalSizesError(
                f"The samples of a batch differ in size ({found}, height x width): cut them to one, or batch them singly."
            )
        occluded = [sample.occluded for sample in samples if sample.occluded is not None]
        return cls(
            image1=_stacked([sample.image1 for sample in samples]),
            image2=_stacked([sample.image2 for sample in samples]),
            flow=_stacked([sample.flow for sample in samples], np.float16 if half_flow else np.float32),
            valid=torch.from_numpy(np.stack([sample.valid for sample in samples])),
            key=[sample.key for sample in samples],
            occluded=torch.from_numpy(np.stack(occluded)) if len(occluded) == len(samples) else None,
            skipped=[message for sample in samples for message in sample.skipped],
        )

    def unpacked(self) -> FlowBatch:
        """The batch as networks take it, float32."""
        return replace(self, image1=_unpacked(self.image1), image2=_unpacked(self.image2), flow=self.flow.float())


def _unpacked(image: Tensor) -> Tensor:
    return unit_range(image) if image.dtype == torch.uint8 else image


def _stacked(arrays: list[np.ndarray], dtype: type = np.uint8) -> Tensor:
    """(H, W, C) arrays -> (B, C, H, W)."""
    return torch.from_numpy(np.stack(arrays).astype(dtype, copy=False)).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class EvalProtocol:
    """The conventional way to evaluate on a data set; None leaves a choice to the model.

    Args:
        padding: for the families that pad, "sintel" or "kitti" (see `ops.padding.InputPadder`).
        updates: iterations, for the families that take a fixed number of them.
        reported_metrics: the metrics that papers report, in their order.
    """

    padding: Literal["sintel", "kitti"] | None = None
    updates: int | None = None
    reported_metrics: Sequence[str] = ("epe",)

    def __post_init__(self) -> None:
        if self.padding not in (None, "sintel", "kitti"):
            raise FlowBenchError(f"A protocol's padding is {self.padding}: choose sintel, kitti or null.")
        if self.updates is not None and (type(self.updates) is not int or not 0 < self.updates <= 2**16):
            raise FlowBenchError(
                f"A protocol's updates are {self.updates}: a whole number above zero and up to 65,536, or null, is needed."
            )


@dataclass
class FlowOutput:
    """The output of a network.

    Args:
        flow: (B, 2, H, W) pixels at full resolution.
        predictions: the flows that the objective supervises, in the family's own order, resolution and unit; empty in eval
            mode.
        reuse: the state that the next pair of a video may start from.
        stats: per-sample tensors (B, ...): steps, abs_residual, rel_residual, ...
        regularisation: a scalar that training adds to the objective.
    """

    flow: Tensor
    predictions: list[Tensor] = field(default_factory=list)
    reuse: Any = None
    stats: dict[str, Tensor] = field(default_factory=dict)
    regularisation: Tensor | None = None
