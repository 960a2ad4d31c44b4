"""Masks stored as NumPy's .npy: one (H, W) array of numbers, as TartanAir stores them (Wang et al., IROS 2020)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.npy import parse_npy
from flowbench.io.read_bytes import read_bytes


def read_mask_npy(path: str | Path) -> np.ndarray:
    """(H, W) bool: True where the number is not 0. Raises FlowBenchError when the file is no whole array of that kind."""
    path = Path(path)
    try:
        mask = parse_npy(read_bytes(path))
    except ValueError as error:
        raise FlowBenchError(f"{path}: no whole .npy file: {error}.") from error
    if mask.ndim != 2:
        raise FlowBenchError(f"{path}: a mask of shape {mask.shape}; (height, width) is needed.")
    return mask != 0
