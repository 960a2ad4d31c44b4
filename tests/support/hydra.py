"""Configs composed as the command line composes them."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from flowbench.configs import config_folder

GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted(config_folder().iterdir())
    if folder.is_dir()
}
PROGRAMS = sorted(path.stem for path in config_folder().glob("*.yaml"))


def composed(name: str, *overrides: str, folder: Path | str = "a_run") -> DictConfig:
    """conf/<name>.yaml with overrides, in a run whose own folder is `folder`."""
    OmegaConf.register_new_resolver("unique", lambda: "unique", replace=True)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose(name, [*overrides, f"hydra.runtime.output_dir={folder}"], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config
