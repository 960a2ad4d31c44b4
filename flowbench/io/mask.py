"""Masks stored as images: Sintel's occluded and invalid pixels, KITTI's and Middlebury's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.decoding import read_pixels


def read_mask(path: str | Path) -> np.ndarray:
    """(H, W) bool: True where the image is not black. It may be grey or in colour; transparency does not count.

    Raises FlowBenchError, naming the file, when it is missing, no whole image, or not of integers.
    """
    path = Path(path)
    image = read_pixels(path, cv2.IMREAD_UNCHANGED)
    if not np.issubdtype(image.dtype, np.integer):
        raise FlowBenchError(f"{path}: an image of {image.dtype} values; a mask has integers.")
    return image > 0 if image.ndim == 2 else np.any(image[..., :3] > 0, axis=-1)
