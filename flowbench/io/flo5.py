"""Spring's .flo5 files: HDF5 with one data set, `flow` (Mehl et al., "Spring", CVPR 2023).

The ground truth has twice the width and height of the images; its values are pixels of the images. It is returned as
stored: [::2, ::2] brings it to the images' size.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from flowbench.errors import FlowBenchError
from flowbench.io.limits import DEFLATE_RATIO, check_flow_array
from flowbench.io.read_bytes import check_file

if TYPE_CHECKING:
    import h5py

_NAME = "flow"


def read_flo5(path: Path) -> np.ndarray:
    """(H, W, 2) float32 pixels, NaN where unknown.

    Raises FlowBenchError when the file is not a complete HDF5 file with such a data set, or h5py is not installed.
    """
    file_size, h5py = check_file(path), _h5py(path)
    # HDF5's own checks raise OSError, RuntimeError, OverflowError and others, depending on what is damaged.
    try:
        # Nobody writes the file meanwhile, and network drives often refuse to lock it.
        with h5py.File(path, "r", locking=False) as file:
            _refuse_link(path, file, h5py)
            flow = file.get(_NAME)
            if not isinstance(flow, h5py.Dataset):
                raise FlowBenchError(f"{path}: no data set named {_NAME!r}; found {sorted(file)}.")
            check_flow_array(path, flow.shape, flow.dtype, file_size)
            _check_storage(path, flow, file_size)
            with np.errstate(over="ignore"):
                return flow[()].astype(np.float32)
    except FlowBenchError:
        raise
    except Exception as error:
        raise FlowBenchError(f"{path}: truncated, damaged or no HDF5 file at all ({error}).") from error


def _refuse_link(path: Path, file: h5py.File, h5py: ModuleType) -> None:
    """A link may lead into any other file."""
    link = file.get(_NAME, getlink=True)
    if link is not None and not isinstance(link, h5py.HardLink):
        raise FlowBenchError(f"{path}: its data set {_NAME!r} is a link. Only values in the file itself are read.")


def _check_storage(path: Path, flow: h5py.Dataset, file_size: int) -> None:
    if flow.external or flow.is_virtual:
        raise FlowBenchError(
            f"{path}: its values are said to lie in other files. Only values in the file itself are read."
        )
    # HDF5 allocates what the index of the chunks says, up to 4 GiB a chunk.
    chunk_bytes = math.prod(flow.chunks or ()) * flow.dtype.itemsize
    if flow.id.get_storage_size() > file_size or chunk_bytes > DEFLATE_RATIO * file_size:
        raise FlowBenchError(f"{path}: its parts are said to be larger than the file can hold. It is damaged.")


def write_flo5(path: Path, flow: np.ndarray) -> None:
    with _h5py(path).File(path, "w") as file:
        file.create_dataset(_NAME, data=flow.astype(np.float32), compression="gzip")


def _h5py(path: Path) -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise FlowBenchError(
            f"{path}: .flo5 files need h5py, which is not installed. Run: pip install optical-flowbench[spring]"
        ) from error
    return h5py
