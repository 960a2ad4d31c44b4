"""Whole files as bytes, with errors that name the file."""

from __future__ import annotations

import stat
from pathlib import Path

from flowbench.errors import FlowBenchError
from flowbench.io.limits import MOST_BYTES


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises FlowBenchError as `check_file` does."""
    check_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlowBenchError(f"{path}: cannot be read ({error.strerror or error}).") from error


def check_file(path: Path) -> int:
    """The file's length. Raises FlowBenchError, naming it, when it is missing, empty, absurdly large or no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FlowBenchError(f"{path}: no such file. Check the path.") from None
    # A name that holds a zero byte is a ValueError.
    except (OSError, ValueError) as error:
        raise FlowBenchError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for ever.
        raise FlowBenchError(f"{path}: cannot be read: it is a folder or a device, and a file is needed.")
    if not status.st_size:
        raise FlowBenchError(f"{path}: the file is empty. Fetch or write it again.")
    if status.st_size > MOST_BYTES:
        raise FlowBenchError(f"{path}: {status.st_size} bytes; files of at most {MOST_BYTES} are read.")
    return status.st_size
