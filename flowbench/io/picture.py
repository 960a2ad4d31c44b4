"""The decoded content of picture files, whatever it means."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.picture_checks import check_picture
from flowbench.io.read_bytes import read_bytes


def read_picture(path: Path, flags: int) -> np.ndarray:
    """(H, W) or (H, W, channels) as OpenCV's imdecode gives it with `flags`: channels in reverse, BGR.

    Raises FlowBenchError, naming the file, when it is missing, no whole picture, or more than one.
    """
    return decode_picture(path, read_bytes(path), flags)


def decode_picture(path: Path, data: bytes, flags: int) -> np.ndarray:
    """`read_picture` of a file whose content is `data`."""
    check_picture(path, data)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise FlowBenchError(f"{path}: no readable picture ({' '.join(str(error).split())}).") from error
    if picture is None:
        raise FlowBenchError(f"{path}: no readable picture: damaged, truncated or of a kind that OpenCV lacks.")
    return picture
