"""Flow in NumPy's .npy: one (H, W, 2) float array, as TartanAir stores it (Wang et al., IROS 2020)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.limits import check_flow_array
from flowbench.io.npy import parse_npy
from flowbench.io.read_bytes import read_bytes


def read_flow_npy(path: Path) -> np.ndarray:
    """(H, W, 2) float32 pixels, as stored. Raises FlowBenchError when the file is no whole array of that kind."""
    data = read_bytes(path)
    try:
        flow = parse_npy(data)
    except ValueError as error:
        raise FlowBenchError(f"{path}: no whole .npy file: {error}.") from error
    check_flow_array(path, flow.shape, flow.dtype, len(data))
    with np.errstate(over="ignore"):
        return flow.astype(np.float32)


def write_flow_npy(path: Path, flow: np.ndarray) -> None:
    np.save(path, flow, allow_pickle=False)
