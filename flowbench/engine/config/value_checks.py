"""Kinds and ranges of the settings of config groups, checked before a run begins.

What a class or function of a `_target_` takes says its own signature. The rest, and the least that makes sense, is listed.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.accelerators import AcceleratorRegistry

from flowbench.configs import plain
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.scenes import SyntheticScenes
from flowbench.engine.config.kinds import Amount, Count, FromZero, Positive, Range, Size, read, shown
from flowbench.errors import FlowBenchError
from flowbench.plugins import plugin_parts
from flowbench.structures import EvalProtocol
from flowbench.targets import current

_PACKAGES = ("flowbench.", "torch.", "pytorch_lightning.")
# What settings without a target of their own, or beside those that a target names itself, are handed on to.
_HANDED_ON = {"data": FlowDataModule, "data.scenes": SyntheticScenes, "data.protocol": EvalProtocol}
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


_ENTRY = Mapping[str, Any] | None
_ANY = {"*": r"[^.]+", "**": r".+"}
# By the key, in which * is any name and ** any number of them.
_RULES: Mapping[str, Any] = {
    "schedule.steps": Count,
    "schedule.batch_size": Count,
    "schedule.val_interval": Count,
    "schedule.crop": Size | None,
    "schedule.lr": Positive,
    "schedule.weight_decay": Amount,
    "schedule.gradient_clip": Amount | None,
    "data.workers": Annotated[int, Range(0, most=1024)],
    "data.eval_batch_size": Count,
    "data.counts.*": Count,
    "data.scenes.size": Size,
    "data.**.at_most": Count | None,
    "data.**.times": FromZero,
    "model.network.iterations": Count,
    "model.network.eval_iterations": Count,
    "model.objective.gamma": Positive,
    "model.objective.max_flow": Positive,
    "trainer.accumulate_grad_batches": Count,
    "trainer.log_every_n_steps": Count,
    "callbacks.*.every_n_minutes": Positive | None,
    "callbacks.*.every_n_train_steps": Count,
    "callbacks.pictures.samples": FromZero,
    "callbacks.*": _ENTRY,
    "logger.*": _ENTRY,
}


def check_group(name: str, config: DictConfig) -> None:
    """Raises FlowBenchError, with the key and the value, for the first setting of a kind or range that cannot work.

    Args:
        name: The group's, such as data.
        config: Its settings, which may refer to those of other groups.
    """
    meant = plain(config)
    check_plain_group(name, meant, written=OmegaConf.to_container(config, resolve=False))
    if name == "trainer" and isinstance(meant, dict):
        _check_devices({str(key): value for key, value in meant.items()})


def check_plain_group(name: str, settings: Mapping[str, Any], *, written: Any = None) -> None:
    """The same of a plain container. written: it before references were resolved, where there were any."""
    for key, value, kind in _ruled(written or settings, settings, name):
        read(key, value, kind)


def _ruled(written: Any, meant: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Every setting that there is a rule for, under the key that the user would change: that which it refers to, if any."""
    if isinstance(meant, list):
        for number, (text, value) in enumerate(zip(written, meant) if isinstance(written, list) else ()):
            yield from _ruled(text, value, f"{key}[{number}]")
    if not isinstance(meant, Mapping):
        return
    kinds = _kinds_of(key, meant)
    for name, value in meant.items():
        path = f"{key}.{name}"
        text = written[name] if isinstance(written, Mapping) else value
        referred = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
        kind = _rule_of(path) or kinds.get(name)
        # An error inside of a setting comes before one of the setting itself.
        yield from _ruled(text, value, path)
        if isinstance(value, Mapping) and (members := _plain_members(kind)):
            yield from ((f"{path}.{member}", number, members) for member, number in value.items())
        if kind is not None:
            yield referred[1] if referred else path, value, kind


def _plain_members(kind: Any) -> Any:
    """What the members of a mapping of numbers or the like are; None for other kinds."""
    for each in (kind, *typing.get_args(kind)):
        if typing.get_origin(each) in (dict, Mapping) and (inner := typing.get_args(each)[1]) in (
            bool,
            int,
            float,
            str,
        ):
            return inner
    return None


def _rule_of(path: str) -> Any:
    for pattern, kind in _RULES.items():
        if re.fullmatch(r"\.".join(_ANY.get(part, re.escape(part)) for part in pattern.split(".")), path):
            return kind
    return None


def _kinds_of(key: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of the callable that these settings are arguments of; empty where there is none."""
    target = settings.get("_target_")
    # Data without a target changes what a checkpoint remembers: its parts lack what is not changed.
    kinds = _annotations(_HANDED_ON[key]) if key in _HANDED_ON and (target or key != "data") else {}
    if not isinstance(target, str) or not (target.startswith(_PACKAGES) or target in plugin_parts()):
        return kinds
    named = _named(target)
    return kinds | (_annotations(named) if callable(named) else {})


def _named(target: str) -> Any:
    """The object of this name; None where there is none, which is then refused where it is built."""
    try:
        return pkgutil.resolve_name(current(target))
    except (ImportError, AttributeError, ValueError):
        return None


def _annotations(named: Callable[..., Any]) -> dict[str, Any]:
    function = named.__init__ if inspect.isclass(named) else named
    try:
        kinds = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters
    except (NameError, TypeError, ValueError):
        # Annotations that exist for type checkers alone, or none at all, as in compiled code.
        return {}
    return {
        name: kinds[name] | None if parameter.default is None else kinds[name]
        for name, parameter in parameters.items()
        if name in kinds and parameter.kind is not parameter.VAR_KEYWORD
    }


def _check_devices(trainer: Mapping[str, Any]) -> None:
    devices, name = trainer.get("devices", "auto"), trainer.get("accelerator", "auto")
    if not isinstance(devices, list) and not re.fullmatch(r"auto|-1|0*[1-9]\d*|\d+(,\d+)+,?|\d+,", str(devices)):
        raise FlowBenchError(f"trainer.devices={devices}: a whole number above zero, -1 or auto for all, is needed.")
    known = {"auto", "gpu", *AcceleratorRegistry.available_accelerators()}
    if name not in known:
        raise FlowBenchError(f"trainer.accelerator={shown(name)}: choose one of {', '.join(sorted(known))}.")
    there = torch.accelerator.is_available() if name == "gpu" else name == "auto" or _is_there(name)
    if not there:
        raise FlowBenchError(
            f"trainer.accelerator={name}: PyTorch finds none on this machine. Leave it out, or write cpu."
        )


def _is_there(name: str) -> bool:
    return AcceleratorRegistry[name]["accelerator"].is_available()
