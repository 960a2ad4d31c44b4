"""A run of a program: its folder, and the command line that it was started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """What a program needs to know of its own run. `cli.command` makes it; a notebook needs no more than the folder.

    Args:
        folder: Where results are written. It need not be there.
        command: How the program was started, such as "train.py" or "flowbench train", and its words, as Hydra reads them;
            empty where no command line was given.
        overrides: Of these words, those that this job of the run was composed of.
        choices: The chosen option of each config group, such as {"model": "raft"}.
    """

    folder: Path
    command: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    choices: Mapping[str, str | None] = field(default_factory=dict)
