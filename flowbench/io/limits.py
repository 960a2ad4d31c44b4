"""Limits on the size of a file and of the content that it claims, checked before anything of that size is allocated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError

# 16384 x 8192: four times the pixels of 8K video.
MOST_PIXELS = 2**27
# What that many pixels take in the widest format, 64-bit flow.
MOST_BYTES = 16 * MOST_PIXELS
# Deflate (zlib, gzip, PNG, zip) makes a byte of at most 1032 (zlib's technical details).
DEFLATE_RATIO = 1032


def check_pixels(path: Path, width: int, height: int, room: float) -> None:
    """Raises FlowBenchError for an image or flow of no pixels, of more than MOST_PIXELS, or of more than the file can hold.

    Args:
        path: of the file.
        width: pixels.
        height: pixels.
        room: pixels that the file can hold.
    """
    said = f"{path}: its header says {_short(width)}x{_short(height)} pixels"
    if width < 1 or height < 1:
        raise FlowBenchError(f"{said}. The file is damaged.")
    if width * height > room:
        raise FlowBenchError(f"{said}, more than a file of its length can hold. It is truncated or damaged.")
    if width * height > MOST_PIXELS:
        raise FlowBenchError(f"{said}; at most {MOST_PIXELS} are read. Is the file damaged?")


def check_flow_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, stored_bytes: int) -> None:
    """Raises FlowBenchError for an array that is no (H, W, 2) floats, or too large for its file.

    Args:
        path: of the file.
        shape: of the array.
        dtype: of the array.
        stored_bytes: of its deflated data.
    """
    if not np.issubdtype(dtype, np.floating):
        raise FlowBenchError(f"{path}: flow is {dtype}; a float type is needed.")
    if len(shape) != 3 or shape[2] != 2:
        raise FlowBenchError(f"{path}: flow of shape {shape}; (height, width, 2) is needed.")
    check_pixels(path, shape[1], shape[0], room=DEFLATE_RATIO * stored_bytes // (2 * dtype.itemsize))


def _short(number: int) -> str:
    # Python refuses to print numbers of thousands of digits.
    return str(number) if abs(number) < 10**12 else f"more than {10**12}"
