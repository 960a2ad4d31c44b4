"""Configs composed as the command line composes them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from flowbench.configs import config_folder

GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted(config_folder().iterdir())
    if folder.is_dir()
}
PROGRAMS = sorted(path.stem for path in config_folder().glob("*.yaml"))


def composed(name: str, *overrides: str) -> DictConfig:
    """conf/<name>.yaml with overrides. What a program reads of its own run needs `support.runs.run_here`."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(name, list(overrides))
