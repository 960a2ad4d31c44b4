"""Where the configuration lies, and how a config becomes an object."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from flowbench.errors import FlowBenchError

_TRUSTED = ("flowbench.", "torch.", "pytorch_lightning.")
# What a model or data config is made of. Nothing here runs what an argument names, or writes where one says; data sets read.
_TRUSTED_IN_CHECKPOINTS = (
    "flowbench.data.",
    "flowbench.deq.",
    "flowbench.models.",
    "flowbench.networks.",
    "flowbench.objectives",
    "flowbench.ops.delta.",
    "flowbench.ops.fitting",
)
_WRITING = ("flowbench.data.cache.", "flowbench.data.sample_trees.")


def config_folder() -> Path:
    """conf/ beside the package in a checkout, inside the package where it was installed."""
    in_checkout = Path(__file__).resolve().parent.parent / "conf"
    return in_checkout if in_checkout.is_dir() else Path(str(resources.files("flowbench"))) / "conf"


def schedule_of(model: str, data: str) -> str:
    """conf/schedule's own file for this pair, such as fastflownet_chairs, or else the data's."""
    if not isinstance(data, str):
        raise FlowBenchError(
            "data is a list, and training takes one data set: a mix is made of the parts of its data.train."
        )
    own = f"{model}_{data}"
    return own if (config_folder() / "schedule" / f"{own}.yaml").is_file() else data


OmegaConf.register_new_resolver("schedule_of", schedule_of, replace=True)


def build(config: DictConfig | Mapping[str, Any], *, from_checkpoint: bool = False, **more: Any) -> Any:
    """The object that a config's _target_ names; targets outside the trusted packages are refused.

    A config from a checkpoint is somebody else's text: there, only FlowBench's own models and data are accepted.
    """
    plain = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    for target in map(str, _targets(plain)):
        if from_checkpoint and not _is_ours(target):
            raise FlowBenchError(
                f"The target '{target}' is refused: a checkpoint may only name FlowBench's own models and data."
            )
        if not target.startswith(_TRUSTED):
            packages = ", ".join(name.rstrip(".") for name in _TRUSTED)
            raise FlowBenchError(f"The target '{target}' is refused: a config may only name objects of {packages}.")
    return instantiate(plain, _convert_="all", **more)


def _is_ours(target: str) -> bool:
    """Whether the target is defined in one of our trusted modules; a name that such a module imported is not."""
    module_name, _, name = target.rpartition(".")
    if not target.startswith(_TRUSTED_IN_CHECKPOINTS) or target.startswith(_WRITING):
        return False
    try:
        named = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError):
        return False
    # A package re-exports what its own modules define.
    return str(getattr(named, "__module__", "")).startswith(module_name)


def _targets(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from _targets(value)


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config with interpolations resolved, but for those that read the environment: these may hold secrets."""
    with _environment_unread():
        return OmegaConf.to_container(config, resolve=True)


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
