"""Decoding of image files to arrays of any meaning: colours, masks, flow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.image_checks import check_image
from flowbench.io.read_bytes import read_bytes


def read_pixels(path: Path, flags: int) -> np.ndarray:
    """The pixels of an image file, (H, W) or (H, W, channels), the channels in OpenCV's order, BGR.

    Args:
        path: of the file.
        flags: of cv2.imdecode.

    Raises FlowBenchError, naming the file, when it is missing, damaged, or holds several images.
    """
    return decode_pixels(path, read_bytes(path), flags)


def decode_pixels(path: Path, data: bytes, flags: int) -> np.ndarray:
    """`read_pixels` of a file that has been read.

    Args:
        path: for errors.
        data: the file's content.
        flags: of cv2.imdecode.
    """
    check_image(path, data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise FlowBenchError(f"{path}: no readable image ({' '.join(str(error).split())}).") from error
    if image is None:
        raise FlowBenchError(f"{path}: no readable image: damaged, truncated or of a kind that OpenCV lacks.")
    return image
