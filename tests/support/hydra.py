"""Configs composed as the command line composes them."""

from __future__ import annotations

import functools
import warnings

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from flowbench.configs import config_folder

GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted(config_folder().iterdir())
    if folder.is_dir()
}
PROGRAMS = sorted(path.stem for path in config_folder().glob("*.yaml"))


@functools.cache
def composed(name: str, *overrides: str) -> DictConfig:
    """conf/<name>.yaml with overrides, without a warning. What a program reads of its own run needs `support.runs.run_here`.

    Tests of one process share each config: it is read-only.
    """
    with warnings.catch_warnings(), initialize_config_dir(str(config_folder()), version_base="1.3"):
        warnings.simplefilter("error")
        config = compose(name, list(overrides))
    OmegaConf.set_readonly(config, True)
    return config
