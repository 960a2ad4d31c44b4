"""Padding or resizing of images to a size that a network takes, and of its flow back to the images' size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch.nn.functional as F
from torch import Tensor

from flowbench.errors import FlowBenchError


class Padder(Protocol):
    """Pads or resizes images, and brings flow back to their size.

    Attributes:
        multiple: sides of padded images are multiples of it.
    """

    multiple: int

    def pad(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> an image of a size that the network takes."""
        ...

    def unpad(self, flow: Tensor, height: int, width: int) -> Tensor:
        """The flow at the image's size, (B, 2, height, width), pixels.

        Args:
            flow: (B, 2, H, W), of the padded image.
            height: of the image.
            width: of the image.
        """
        ...


@dataclass(frozen=True)
class InputPadder:
    """Pads by replication to multiples of `multiple` (RAFT and DEQ-Flow).

    Args:
        mode: "sintel" pads width and height on both sides; "kitti" pads the width on both sides and the height at the
            bottom alone, where the road is.
        multiple: pixels.
        minimum: smallest side of a padded image, pixels.
    """

    mode: Literal["sintel", "kitti"] = "sintel"
    multiple: int = 8
    minimum: int = 64

    def __post_init__(self) -> None:
        if self.mode not in ("sintel", "kitti"):
            raise FlowBenchError(f"Unknown padding mode '{self.mode}': choose sintel or kitti.")

    def borders(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(left, right, top, bottom) for an image of height x width."""
        extra_height, extra_width = -height % self.multiple, -width % self.multiple
        if min(height + extra_height, width + extra_width) < self.minimum:
            raise FlowBenchError(
                f"An image of {width}x{height} pixels is too small for this network, which needs at least "
                f"{self.minimum - self.multiple + 1} pixels a side: enlarge the images first."
            )
        top = extra_height // 2 if self.mode == "sintel" else 0
        left = extra_width // 2
        return left, extra_width - left, top, extra_height - top

    def pad(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> the padded image."""
        borders = self.borders(*image.shape[-2:])
        return F.pad(image, borders, mode="replicate") if any(borders) else image

    def unpad(self, flow: Tensor, height: int, width: int) -> Tensor:
        """The flow without the padding; see `Padder.unpad`."""
        left, _, top, _ = self.borders(height, width)
        return flow[..., top : top + height, left : left + width]


@dataclass(frozen=True)
class InputResizer:
    """Enlarges to the next multiples of `multiple`, bilinearly (FastFlowNet and LightFlow).

    Args:
        multiple: pixels.
        size: (height, width), multiples of `multiple`, to which all images are resized; None for the next multiples.
    """

    multiple: int = 64
    size: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.size is None:
            return
        sides = list(self.size) if isinstance(self.size, Sequence) else []
        if len(sides) != 2 or any(type(side) is not int or side < 1 or side % self.multiple for side in sides):
            raise FlowBenchError(
                f"The padder's size is {self.size}: give [height, width] in multiples of {self.multiple}, or none at all."
            )

    def pad(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> the resized image."""
        height, width = image.shape[-2:]
        return _resized(image, *(self.size or (height + -height % self.multiple, width + -width % self.multiple)))

    def unpad(self, flow: Tensor, height: int, width: int) -> Tensor:
        """The flow resized, its vectors scaled to the image's pixels; see `Padder.unpad`."""
        return resized_flow(flow, height, width)


def resized_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """The flow (B, 2, h, w) of an image -> (B, 2, height, width), that of the image at another size, to which its vectors
    are scaled."""
    resized = _resized(flow, height, width)
    return resized * resized.new_tensor([width / flow.shape[-1], height / flow.shape[-2]]).view(2, 1, 1)


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
