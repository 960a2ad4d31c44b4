"""How large a file, and what it says it holds, may be: checked before anything of that size is allocated."""

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
    """Refuses an image or flow of no pixels, of more than MOST_PIXELS, or of more than the file has `room` for."""
    said = f"{path}: its header says {_short(width)}x{_short(height)} pixels"
    if width < 1 or height < 1:
        raise FlowBenchError(f"{said}. The file is damaged.")
    if width * height > room:
        raise FlowBenchError(f"{said}, more than a file of its length can hold. It is truncated or damaged.")
    if width * height > MOST_PIXELS:
        raise FlowBenchError(f"{said}; at most {MOST_PIXELS} are read. Is the file damaged?")


def check_flow_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, stored_bytes: int) -> None:
    """Refuses what is no (H, W, 2) float array, and one that `stored_bytes` of deflated data cannot hold."""
    if not np.issubdtype(dtype, np.floating):
        raise FlowBenchError(f"{path}: flow is {dtype}; a float type is needed.")
    if len(shape) != 3 or shape[2] != 2:
        raise FlowBenchError(f"{path}: flow of shape {shape}; (height, width, 2) is needed.")
    check_pixels(path, shape[1], shape[0], room=DEFLATE_RATIO * stored_bytes // (2 * dtype.itemsize))


def _short(number: int) -> str:
    # Python refuses to print numbers of thousands of digits.
    return str(number) if abs(number) < 10**12 else f"more than {10**12}"
