"""Images as callers have them (arrays, tensors, PIL images, files), made one batch for a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from flowbench.errors import FlowBenchError
from flowbench.images import unit_range
from flowbench.io import read_image


class PILImage(Protocol):
    """The part of a PIL image's interface that is used here; PIL itself need not be installed."""

    mode: str
    __array_interface__: dict[str, Any]


ImageLike = Tensor | np.ndarray | PILImage | str | Path

_PIL_MODES = ("RGB", "RGBA", "L", "I;16")
_CHANNELS = (1, 3, 4)


def image_batch(image: ImageLike, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(B, 3, H, W) RGB in [0, 1]; B is 1 for a single image.

    Grey becomes three equal channels, and transparency is dropped, as `read_image` does with files.

    Args:
        image: an array (H, W), (H, W, C) or (B, H, W, C); a tensor (H, W), (C, H, W) or (B, C, H, W); C is 3 for RGB, 1 for
            grey or 4 for RGBA, and values are as `unit_range` has them. Or a PIL image of mode RGB, RGBA, L or I;16, or the
            path of an image file, which is read by `read_image`.
        device, dtype: of the result.

    Raises FlowBenchError for everything else: other shapes, value ranges, modes, and lists.
    """
    if isinstance(image, str | Path):
        image = read_image(image)
    if not isinstance(image, np.ndarray | Tensor):
        image = _from_pil(image)
    channels_first = _tensor_of(image) if isinstance(image, np.ndarray) else _checked(image)
    return unit_range(_rgb(channels_first).to(device), dtype)


def _from_pil(image: Any) -> np.ndarray:
    if not hasattr(image, "mode") or not hasattr(image, "__array_interface__"):
        raise FlowBenchError(
            f"A {type(image).__name__} is no image: give an array, a tensor, a PIL image or a path; several images of one "
            "size as one array (B, H, W, 3), for instance np.stack(images)."
        )
    if image.mode not in _PIL_MODES:
        raise FlowBenchError(
            f"A PIL image of mode {image.mode}: {', '.join(_PIL_MODES)} are taken. Use image.convert('RGB')."
        )
    return np.asarray(image)


def _tensor_of(image: np.ndarray) -> Tensor:
    """The array as a tensor with its channels first."""
    _check_shape(image.shape, "an array", "(H, W, C)", axis=-1, elsewhere=-3, remedy="np.moveaxis(image, -3, -1)")
    try:
        tensor = torch.from_numpy(np.require(image, image.dtype.newbyteorder("="), ["C", "W"]))
    except TypeError as error:
        raise FlowBenchError(f"An array of {image.dtype} is no image: give uint8, uint16 or floating point.") from error
    return tensor if tensor.ndim == 2 else tensor.movedim(-1, -3)


def _checked(image: Tensor) -> Tensor:
    _check_shape(image.shape, "a tensor", "(C, H, W)", axis=-3, elsewhere=-1, remedy="image.movedim(-1, -3)")
    return image


def _check_shape(shape: Sequence[int], kind: str, layout: str, *, axis: int, elsewhere: int, remedy: str) -> None:
    """Raises FlowBenchError unless there are two axes, or the channels lie at `axis` of three or four."""
    if 0 not in shape and (len(shape) == 2 or (len(shape) in (3, 4) and shape[axis] in _CHANNELS)):
        return
    turned = len(shape) in (3, 4) and shape[elsewhere] in _CHANNELS
    raise FlowBenchError(
        f"An image of shape {tuple(shape)}: {kind} is {layout}, with C of 3 (RGB), 1 (grey) or 4 (RGBA), or (H, W), or a "
        f"batch (B, {layout[1:]}." + (f" Its channels seem to be elsewhere: give {remedy}." if turned else "")
    )


def _rgb(image: Tensor) -> Tensor:
    """(B, 3, H, W) from (H, W), (C, H, W) or (B, C, H, W)."""
    while image.ndim < 4:
        image = image.unsqueeze(0)
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image[:, :3]
