"""Freed memory kept for the next tensor, on the CPU."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Lets glibc reuse large blocks instead of handing each back to the system, for the whole process.

    By default every tensor of more than a few MiB is mapped anew, and the kernel clears its pages at first touch, which
    costs more than many layers do. Without glibc nothing happens.
    """
    mallopt = _mallopt()
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 64 << 20)


def can_keep_freed_memory() -> bool:
    """Whether the process allocates by glibc."""
    return _mallopt() is not None


def _mallopt() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return None
