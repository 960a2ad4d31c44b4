"""NumPy's array files, with a check of their header against their length before anything is allocated."""

from __future__ import annotations

import io
import math

import numpy as np

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def parse_npy(data: bytes) -> np.ndarray:
    """The array of numbers or booleans in the bytes of an .npy file, read-only.

    Raises ValueError when they are no whole array of such: objects, which could run code, are never read.
    """
    shape, fortran, dtype, start = _header(data)
    if dtype.kind not in "biuf":
        raise ValueError(f"it holds {dtype}, no plain numbers")
    if any(length < 0 for length in shape):
        raise ValueError(f"its header says shape {shape}")
    expected, found = math.prod(shape) * dtype.itemsize, len(data) - start
    if found != expected:
        raise ValueError(f"{found} bytes of values, shape {shape} of {dtype} takes {expected}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")


def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    file = io.BytesIO(data)
    # NumPy reads the header as Python text, and damaged text fails in a dozen ways (tokenize.TokenError, TypeError...).
    try:
        read_header = _HEADERS[np.lib.format.read_magic(file)]
        return (*read_header(file), file.tell())
    except Exception as error:
        raise ValueError(f"its header is damaged or of another format ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
