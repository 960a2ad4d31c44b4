"""Names that become files."""

from __future__ import annotations

import re
from pathlib import Path

from flowbench.errors import FlowBenchError


def inside(folder: Path, name: str) -> Path:
    """<folder>/<name>, where the name may hold folders of its own.

    Raises FlowBenchError for a name that leads out of the folder.
    """
    # Backslashes and drive letters lead out on Windows.
    leads_out = ".." in re.split(r"[/\\\\]", name) or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name)
    if leads_out or "\0" in name:
        raise FlowBenchError(
            f"{name!r} cannot name a file in '{folder}': it would lie elsewhere. Give it another name."
        )
    return folder / name
