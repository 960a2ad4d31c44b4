"""A decoded sample as the bytes of one .npy file, whose arrays are used where they lie once it is mapped into memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from flowbench.structures import FlowSample

# To be raised when the files change, or when decoding gives other values than before.
VERSION = 1

# Size and time of each file that a sample was decoded from.
Stamp = list[tuple[int, int]]


def encode(sample: FlowSample, stamp: Stamp) -> bytes:
    """One record with a field for each array of the sample; its key and what was skipped are left out."""
    arrays = {
        "stamp": _stamp_array(stamp),
        "flow": sample.flow,
        "image1": sample.image1,
        "image2": sample.image2,
        "valid": sample.valid,
    }
    if sample.occluded is not None:
        arrays["occluded"] = sample.occluded
    record = np.empty((), [(name, array.dtype, array.shape) for name, array in arrays.items()])
    for name, array in arrays.items():
        record[name] = array
    file = io.BytesIO()
    np.save(file, record)
    return file.getvalue()


def map_sample(path: Path, stamp: Stamp) -> FlowSample | None:
    """The sample in a file that `encode` made, without its key; None where there is none with this stamp.

    The arrays lie in the file. Whoever changes one changes a copy of his own, page by page, and never the file.
    """
    try:
        record = np.load(path, mmap_mode="c")
        if not np.array_equal(record["stamp"], _stamp_array(stamp)):
            return None
        # As plain arrays: np.memmap's own are slower to cut.
        arrays = {name: np.asarray(record[name]) for name in record.dtype.names[1:]}
        return FlowSample(**{"occluded": None, **arrays}, key="")
    except Exception:
        # A damaged header makes NumPy raise nearly anything, and the sample's own files are still there.
        return None


def _stamp_array(stamp: Stamp) -> np.ndarray:
    return np.array([(VERSION, 0), *stamp], "<i8")
