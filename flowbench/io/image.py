"""Pictures as RGB arrays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.picture import read_picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp")


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned as its EXIF orientation says.

    Grey becomes three equal channels, transparency is dropped, 16 bits are scaled to 8. Raises FlowBenchError, naming
    the file, when it is missing, truncated, no readable picture, or of another number type (a depth map, for instance).
    """
    path = Path(path)
    image = read_picture(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint16:
        # 65535 / 257 = 255, exactly.
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.dtype != np.uint8:
        raise FlowBenchError(f"{path}: a picture of {image.dtype} values; 8 or 16 bits a channel are needed.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB in the format of the suffix; the file appears complete or not at all.

    Raises FlowBenchError, naming the file, for an unknown suffix, another array, or a file that cannot be written.
    """
    path = Path(path)
    encoded = encode_image(image, path.suffix.lower(), name=str(path))
    with written_aside(path) as aside:
        aside.write_bytes(encoded)


def encode_image(image: np.ndarray, suffix: str, name: str = "picture") -> bytes:
    """The bytes of a picture file of that suffix. image: (H, W, 3) uint8 RGB; `name` is for the error's message."""
    if suffix not in SUFFIXES:
        raise FlowBenchError(f"{name}: unknown suffix {suffix!r} for a picture. Known: {', '.join(SUFFIXES)}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise FlowBenchError(f"{name}: array of {image.shape}, {image.dtype}; (height, width, 3) uint8 is needed.")
    # OpenCV writes WebP without loss unless a quality is given, ten times the size.
    options = [cv2.IMWRITE_WEBP_QUALITY, 90] if suffix == ".webp" else []
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()
