"""A decoded sample as the bytes of one .npy file and their checksum; its arrays are used where they lie in memory once the
file is mapped."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np

from flowbench.structures import FlowSample

# To be raised when the files change, or when decoding gives other values than before.
VERSION = 2
_CHECKSUM = 4  # bytes at the end

# Size and time of each file that a sample was decoded from.
Stamp = list[tuple[int, int]]


def encode(sample: FlowSample, stamp: Stamp) -> bytes:
    """One record with a field for each array of the sample, and its CRC-32; `key` and `skipped` are left out."""
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
    content = file.getvalue()
    return content + _checksum(content)


def map_sample(path: Path, stamp: Stamp) -> FlowSample | None:
    """The sample in a file that `encode` made, without its key; None where there is none with this stamp, or it is damaged.

    The arrays are mapped copy-on-write: changes to them never reach the file.
    """
    try:
        # A page that is read here is the one that the arrays are used from.
        content = np.memmap(path, mode="r")
        if content[-_CHECKSUM:].tobytes() != _checksum(content[:-_CHECKSUM].data):
            return None
        record = np.load(path, mmap_mode="c")
        if not np.array_equal(record["stamp"], _stamp_array(stamp)):
            return None
        # As plain arrays: np.memmap's own are slower to cut.
        arrays = {name: np.asarray(record[name]) for name in record.dtype.names}
        return FlowSample(
            image1=arrays["image1"],
            image2=arrays["image2"],
            flow=arrays["flow"],
            valid=arrays["valid"],
            occluded=arrays.get("occluded"),
            key="",
        )
    except Exception:
        # A damaged header makes NumPy raise nearly anything, and the sample's own files are still there.
        return None


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM, "little")


def _stamp_array(stamp: Stamp) -> np.ndarray:
    return np.array([(VERSION, 0), *stamp], "<i8")
