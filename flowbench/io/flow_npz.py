"""Flow in NumPy's .npz: arrays `flow` (H, W, 2) float and `valid` (H, W) bool, kept without any rounding."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.read_bytes import read_bytes


def read_flow_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Flow float32 and valid, as stored. Raises FlowBenchError when the file is no whole .npz with these two arrays."""
    data = io.BytesIO(read_bytes(path))
    # np.load takes other formats, too, and gives something else for them.
    if not zipfile.is_zipfile(data):
        raise FlowBenchError(f"{path}: truncated, or no .npz file at all.")
    try:
        with np.load(data, allow_pickle=False) as arrays:
            flow, valid = arrays["flow"], arrays["valid"]
    except KeyError as error:
        raise FlowBenchError(f"{path}: no array named {error.args[0]!r}; 'flow' and 'valid' are needed.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise FlowBenchError(f"{path}: no whole .npz file ({error}).") from error
    if not np.issubdtype(flow.dtype, np.floating) or valid.dtype != bool:
        raise FlowBenchError(f"{path}: flow is {flow.dtype}, valid is {valid.dtype}; a float type and bool are needed.")
    return flow.astype(np.float32), valid


def write_flow_npz(path: Path, flow: np.ndarray, valid: np.ndarray) -> None:
    np.savez_compressed(path, flow=flow, valid=valid)
