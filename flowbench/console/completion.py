"""Completion of the shell's words: programs here, their settings and choices by Hydra."""

from __future__ import annotations

import os
import sys

import hydra
from omegaconf import DictConfig

from flowbench.configs import config_folder
from flowbench.programs import PROGRAMS


def complete(action: str) -> None:
    """Does what `flowbench -sc <action>` says.

    action: install=<shell> prints the shell's rule, which then asks with query=<shell> what may stand at the end of the
        line in the environment's COMP_LINE.
    """
    _, _, line = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
    word, begun, rest = line.lstrip().partition(" ")
    if action.startswith("query=") and not begun:
        print(" ".join(name for name in PROGRAMS if name.startswith(word)))
        return
    name = word.replace("-", "_")
    os.environ["COMP_LINE"] = f"flowbench {rest}"
    sys.argv[1:] = ["-sc", action]
    hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=name if name in PROGRAMS else "train")(
        _nothing
    )()


def _nothing(config: DictConfig) -> None:
    """Hydra completes words of a program, which is not run."""
