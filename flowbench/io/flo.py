"""Middlebury .flo files (Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.limits import check_pixels
from flowbench.io.read_bytes import read_bytes

_MAGIC = 202021.25
_HEADER = struct.Struct("<fii")
_SWAPPED_START = struct.pack(">f", _MAGIC)


def read_flo(path: Path) -> np.ndarray:
    """(H, W, 2) float32 pixels, as stored. Raises FlowBenchError when the file is no complete .flo file."""
    data = read_bytes(path)
    if len(data) < _HEADER.size:
        raise FlowBenchError(f"{path}: {len(data)} bytes, shorter than the {_HEADER.size}-byte header of a .flo file.")
    if data.startswith(_SWAPPED_START):
        raise FlowBenchError(f"{path}: its bytes are swapped (big endian); .flo is little endian. Write it again so.")
    magic, width, height = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise FlowBenchError(
            f"{path}: starts with {data[:4]!r}, a .flo file starts with b'PIEH' ({_MAGIC}). It is another format."
        )
    expected = _HEADER.size + 8 * width * height
    if width >= 1 and height >= 1 and len(data) != expected:
        state = "truncated" if len(data) < expected else "oversized"
        raise FlowBenchError(f"{path}: {state}: {len(data)} bytes, {width}x{height} pixels of flow take {expected}.")
    check_pixels(path, width, height, room=len(data) // 8)
    return np.frombuffer(data, "<f4", offset=_HEADER.size).reshape(height, width, 2).astype(np.float32)


def write_flo(path: Path, flow: np.ndarray) -> None:
    height, width = flow.shape[:2]
    path.write_bytes(_HEADER.pack(_MAGIC, width, height) + flow.astype("<f4").tobytes())
