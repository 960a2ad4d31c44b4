"""Middlebury .flo files (Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.read_bytes import read_bytes

_MAGIC = 202021.25
_HEADER = struct.Struct("<fii")


def read_flo(path: Path) -> np.ndarray:
    """(H, W, 2) float32 pixels, as stored. Raises FlowBenchError when the file is no whole .flo file."""
    data = read_bytes(path)
    if len(data) < _HEADER.size:
        raise FlowBenchError(f"{path}: {len(data)} bytes, shorter than the {_HEADER.size}-byte header of a .flo file.")
    magic, width, height = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise FlowBenchError(f"{path}: starts with {magic!r}, a .flo file starts with {_MAGIC}. It is another format.")
    if width < 1 or height < 1:
        raise FlowBenchError(f"{path}: its header says {width}x{height} pixels. The file is damaged.")
    expected = _HEADER.size + 8 * width * height
    if len(data) != expected:
        state = "truncated" if len(data) < expected else "oversized"
        raise FlowBenchError(f"{path}: {state}: {len(data)} bytes, {width}x{height} pixels of flow take {expected}.")
    return np.frombuffer(data, "<f4", offset=_HEADER.size).reshape(height, width, 2).astype(np.float32)


def write_flo(path: Path, flow: np.ndarray) -> None:
    height, width = flow.shape[:2]
    path.write_bytes(_HEADER.pack(_MAGIC, width, height) + flow.astype("<f4").tobytes())
