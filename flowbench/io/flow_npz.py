"""Flow in NumPy's .npz: arrays `flow` (H, W, 2) float and `valid` (H, W) bool, kept without any rounding."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.limits import DEFLATE_RATIO, MOST_BYTES, check_flow_array
from flowbench.io.npy import parse_npy
from flowbench.io.read_bytes import read_bytes

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_flow_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Flow float32 and valid, as stored. Raises FlowBenchError when the file is no whole .npz with these two arrays."""
    data = read_bytes(path)
    # zipfile raises whatever a damaged file makes it stumble over: NotImplementedError, struct.error, RuntimeError...
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            flow, valid = (_array(path, archive, name, len(data)) for name in ("flow", "valid"))
    except FlowBenchError:
        raise
    except Exception as error:
        raise FlowBenchError(f"{path}: truncated, damaged or no .npz file at all ({error}).") from error
    check_flow_array(path, flow.shape, flow.dtype, len(data))
    if valid.dtype != bool:
        raise FlowBenchError(f"{path}: valid is {valid.dtype}; bool is needed.")
    with np.errstate(over="ignore"):
        return flow.astype(np.float32), valid


def _array(path: Path, archive: zipfile.ZipFile, name: str, file_size: int) -> np.ndarray:
    if f"{name}.npy" not in archive.namelist():
        raise FlowBenchError(f"{path}: no array named {name!r}; 'flow' and 'valid' are needed.")
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in _METHODS:
        raise FlowBenchError(f"{path}: {name} is packed by zip's method {member.compress_type}; 0 or 8 is needed.")
    if member.file_size > min(MOST_BYTES, DEFLATE_RATIO * file_size):
        raise FlowBenchError(f"{path}: {name} is said to be {member.file_size} bytes, more than can be. It is damaged.")
    with archive.open(member) as file:
        # A number of bytes keeps zipfile from unpacking more than the entry says.
        content = file.read(member.file_size)
    try:
        return parse_npy(content)
    except ValueError as error:
        raise FlowBenchError(f"{path}: {name} is no whole array: {error}.") from error


def write_flow_npz(path: Path, flow: np.ndarray, valid: np.ndarray) -> None:
    np.savez_compressed(path, flow=flow, valid=valid)
