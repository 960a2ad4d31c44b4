"""The folder of configurations, and the objects that configs describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from flowbench.builder import make
from flowbench.errors import FlowBenchError
from flowbench.former_names import has_former_names, with_current_names, with_current_references
from flowbench.plugins import plugin_folders
from flowbench.targets import find_own


def config_folder() -> Path:
    """conf/ inside the package where it was installed, beside the package in a checkout."""
    installed = Path(str(resources.files("flowbench"))) / "conf"
    return installed if installed.is_dir() else installed.parent.parent / "conf"


def config_folders() -> list[Path]:
    """conf/, and the folders of plug-ins."""
    return [config_folder(), *plugin_folders()]


def option_file(group: str, name: str) -> Path | None:
    """The file of a group's option; None where there is none."""
    files = (folder / group / f"{name}.yaml" for folder in config_folders())
    return next((file for file in files if file.is_file()), None)


def option_names(group: str) -> list[str]:
    """The options of a group, sorted."""
    return sorted({file.stem for folder in config_folders() for file in (folder / group).glob("*.yaml")})


def schedule_of(model: str, data: str) -> str:
    """The schedule of a pair: its own, such as fastflownet_chairs, or that of the model's family, or else the data's."""
    return _of_pair("schedule", model, data) or data


def recipe_of(model: str, data: str) -> str:
    """The recipe of a pair: its own, or that of the model's family (raft_sintel for raft_small); there may be neither."""
    return _of_pair("recipe", model, data) or f"{model}_{data}"


def _of_pair(group: str, model: str, data: str) -> str | None:
    if not isinstance(data, str):
        raise FlowBenchError(
            "data is a list, and training takes one data set: a mix is made of the parts of its data.train."
        )
    family = model.partition("_")[0]
    names = (f"{model}_{data}", f"{family}_{data}")
    return next((name for name in names if option_file(group, name)), None)


OmegaConf.register_new_resolver("schedule_of", schedule_of, replace=True)
OmegaConf.register_new_resolver("recipe_of", recipe_of, replace=True)


def build(config: DictConfig | Mapping[str, Any], /, **more: Any) -> Any:
    """The object that the user's own configuration describes, with further keywords for the outermost call.

    Files that somebody else may have written are handled by checkpoints.settings instead.
    """
    return make(plain(config), find_own, **more)


def plain(config: Any) -> Any:
    """The user's own configuration with all interpolations resolved, as mappings and lists."""
    return OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config


def with_current_settings(config: DictConfig) -> DictConfig:
    """The config under today's names of its settings; itself where it has no other."""
    written = OmegaConf.to_container(config, resolve=False)
    if not has_former_names(written):
        return config
    return OmegaConf.create(with_current_references(with_current_names(cast(Any, written))))


def file_settings(file: Path) -> dict[str, Any]:
    """The settings of a file of conf/ as they are written: nothing is composed or resolved."""
    written = OmegaConf.to_container(OmegaConf.load(file))
    return {str(name): value for name, value in written.items()} if isinstance(written, dict) else {}


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config with interpolations resolved, but for those that read the environment: these may hold secrets."""
    with _environment_unread():
        return plain(config)


@contextmanager
def _environment_unread() -> Iterator[None]:
    """Lets ${oc.env:NAME} resolve to its own text."""

    def own_text(*words: str) -> str:
        return "${oc.env:" + ",".join(words) + "}"

    OmegaConf.register_new_resolver("oc.env", own_text, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
