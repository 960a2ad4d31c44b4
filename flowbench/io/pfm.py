"""Portable float maps, in which FlyingThings3D stores flow as the first two of three channels."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.limits import check_pixels
from flowbench.io.read_bytes import read_bytes

# Exactly one white-space character ends the header: what follows may itself look like white space. Python refuses to
# read integers of thousands of digits.
_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,10})\s+(\d{1,10})\s+([-+0-9.eE]{1,40})\s")


def read_pfm(path: Path) -> np.ndarray:
    """(H, W, 2) float32 pixels: the first two channels, rows top-down, either byte order.

    Raises FlowBenchError when the file is no whole three-channel PFM file.
    """
    data = read_bytes(path)
    header = _HEADER.match(data)
    if header is None:
        raise FlowBenchError(f"{path}: starts with {data[:16]!r}, a flow PFM starts with 'PF', width, height, scale.")
    kind, width, height, scale = header[1], int(header[2]), int(header[3]), _scale(path, header[4])
    if kind != b"PF":
        raise FlowBenchError(f"{path}: one channel (Pf); flow is stored in a three-channel PFM (PF).")
    expected, found = 12 * width * height, len(data) - header.end()
    if expected and found != expected:
        state = "truncated" if found < expected else "oversized"
        raise FlowBenchError(f"{path}: {state}: {found} bytes of values, {width}x{height}x3 of them take {expected}.")
    check_pixels(path, width, height, room=found // 12)
    byte_order = "<" if scale < 0 else ">"
    pixels = np.frombuffer(data, byte_order + "f4", offset=header.end()).reshape(height, width, 3)
    return np.ascontiguousarray(pixels[::-1, :, :2], dtype=np.float32)


def _scale(path: Path, text: bytes) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if scale == 0.0 or not math.isfinite(scale):
        raise FlowBenchError(
            f"{path}: scale {text!r} in its header; a number below zero (little endian) or above is needed."
        )
    return scale


def write_pfm(path: Path, flow: np.ndarray) -> None:
    height, width = flow.shape[:2]
    pixels = np.zeros((height, width, 3), "<f4")
    pixels[..., :2] = flow[::-1]
    path.write_bytes(f"PF\n{width} {height}\n-1.0\n".encode() + pixels.tobytes())
