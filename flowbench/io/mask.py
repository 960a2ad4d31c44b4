"""Masks stored as pictures: Sintel's occluded and invalid pixels, KITTI's and Middlebury's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.picture import read_picture


def read_mask(path: str | Path) -> np.ndarray:
    """(H, W) bool: True where the picture is not black. It may be grey or in colour; transparency does not count.

    Raises FlowBenchError, naming the file, when it is missing, no whole picture, or not of integers.
    """
    path = Path(path)
    picture = read_picture(path, cv2.IMREAD_UNCHANGED)
    if not np.issubdtype(picture.dtype, np.integer):
        raise FlowBenchError(f"{path}: a picture of {picture.dtype} values; a mask has integers.")
    return picture > 0 if picture.ndim == 2 else np.any(picture[..., :3] > 0, axis=-1)
