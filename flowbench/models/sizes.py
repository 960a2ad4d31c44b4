"""The size at which images are estimated, where it is not their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import torch.nn.functional as F
from torch import Tensor

from flowbench.errors import FlowBenchError

# Beyond it, an enlarged image fills the memory and shows nothing more.
_LARGEST_SCALE = 8


class Sizes(TypedDict, total=False):
    """How images are estimated that are too large or too small for a network.

    scale: By which both sides are multiplied before; the flow is brought back. max_side: To which the longer side is
    shrunk before. tile: Side of the squares, pixels, that are estimated one at a time, so that the memory of one bounds that
    of the network. overlap: Of neighbouring tiles, pixels, by default a quarter of one, see `flowbench.models.tiles.Tiles`.
    """

    scale: float | None
    max_side: int | None
    tile: int | None
    overlap: int | None


def estimation_size(size: Sequence[int], *, scale: float | None = None, max_side: int | None = None) -> tuple[int, int]:
    """(height, width) at which images of `size` (height, width) are estimated.

    Args:
        size: of the images.
        scale: By which both sides are multiplied, at most 8.
        max_side: To which the longer side is shrunk where it is longer, pixels.

    Raises FlowBenchError for both at once, and for values that give no size.
    """
    if scale is not None and max_side is not None:
        raise FlowBenchError(f"scale={scale} and max_side={max_side} both choose the size: give one.")
    if scale is not None and not 0 < scale <= _LARGEST_SCALE:
        raise FlowBenchError(f"scale={scale}: a factor above 0 and of at most {_LARGEST_SCALE} is needed, such as 0.5.")
    if max_side is not None and (type(max_side) is not int or max_side < 1):
        raise FlowBenchError(f"max_side={max_side}: a whole number of pixels is needed, such as 1024.")
    factor = min(1.0, max_side / max(size)) if max_side is not None else scale or 1.0
    height, width = (max(1, round(factor * side)) for side in size)
    return height, width


def resized_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The image (B, C, H, W) at another size, (B, C, *size); averaged where it shrinks."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size, mode="bilinear", antialias=True)
