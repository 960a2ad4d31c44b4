"""Whole files as bytes, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

from flowbench.errors import FlowBenchError


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises FlowBenchError, naming the file, when it is missing, empty or cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FlowBenchError(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise FlowBenchError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not data:
        raise FlowBenchError(f"{path}: the file is empty. Fetch or write it again.")
    return data
