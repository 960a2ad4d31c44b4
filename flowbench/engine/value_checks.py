"""Kinds and ranges of settings, checked before a run begins.

What a class or function of a `_target_` takes says its own signature. The rest, and the least that makes sense, is listed.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.accelerators import AcceleratorRegistry

from flowbench.configs import plain
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.scenes import SyntheticScenes
from flowbench.errors import FlowBenchError
from flowbench.structures import Protocol

_PACKAGES = ("flowbench.", "torch.", "pytorch_lightning.")
# What settings without a target of their own, or beside those that a target names itself, are handed on to.
_HANDED_ON = {"data": FlowDataModule, "data.scenes": SyntheticScenes, "data.protocol": Protocol}
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


@dataclass(frozen=True)
class _Rule:
    """What a setting takes. least: the smallest number, or, where `above`, what it has to exceed. most: the largest."""

    kind: Any
    least: float | None = None
    above: bool = False
    most: float = math.inf


_COUNT, _COUNT_OR_NONE, _FROM_ZERO = _Rule(int, 1), _Rule(int | None, 1), _Rule(int, 0)
_AMOUNT = _Rule(float, 0)
_SIZE = _Rule(tuple[int, int], 1)
_ENTRY = _Rule(Mapping | None)
_ANY = {"*": r"[^.]+", "**": r".+"}
# By the key, in which * is any name and ** any number of them. `<program>:<key>` is a setting of that program alone.
_RULES = {
    "debug": _Rule(bool),
    "keep_freed_memory": _Rule(bool),
    "seed": _Rule(int, 0, most=2**32 - 1),
    "schedule.steps": _COUNT,
    "schedule.batch_size": _COUNT,
    "schedule.val_interval": _COUNT,
    "schedule.crop": _Rule(tuple[int, int] | None, 1),
    "schedule.lr": _Rule(float, 0, above=True),
    "schedule.weight_decay": _AMOUNT,
    "schedule.gradient_clip": _Rule(float | None, 0),
    "data.workers": _Rule(int, 0, most=1024),
    "data.eval_batch_size": _COUNT,
    "data.counts.*": _COUNT,
    "data.scenes.size": _SIZE,
    "data.**.at_most": _COUNT_OR_NONE,
    "data.**.times": _FROM_ZERO,
    "model.network.iterations": _COUNT,
    "model.network.eval_iterations": _COUNT,
    "model.objective.gamma": _Rule(float, 0, above=True),
    "model.objective.max_flow": _Rule(float, 0, above=True),
    "trainer.accumulate_grad_batches": _COUNT,
    "trainer.log_every_n_steps": _COUNT,
    "callbacks.*.every_n_minutes": _Rule(float | None, 0, above=True),
    "callbacks.*.every_n_train_steps": _COUNT,
    "callbacks.pictures.samples": _FROM_ZERO,
    "callbacks.*": _ENTRY,
    "logger.*": _ENTRY,
    "evaluate:pictures": _FROM_ZERO,
    "evaluate:warm_start": _Rule(bool),
    "analyse:steps": _COUNT,
    "benchmark:batch_size": _COUNT,
    "benchmark:iterations": _COUNT_OR_NONE,
    "benchmark:repeats": _COUNT,
    "benchmark:seconds": _Rule(float, 0, above=True),
    "benchmark:size": _SIZE,
    "benchmark:training": _Rule(bool),
    "benchmark:warm_up": _FROM_ZERO,
    "contact_sheet:count": _COUNT,
    "contact_sheet:first": _FROM_ZERO,
    "contact_sheet:width": _COUNT,
    "export:iterations": _COUNT_OR_NONE,
}


def check_values(config: DictConfig, program: str) -> None:
    """Raises FlowBenchError, with the key and the value, for the first setting of a kind or range that cannot work.

    program: the file in conf/ that config was composed from.
    """
    meant = plain(config)
    check_plain_values(meant, program, written=OmegaConf.to_container(config, resolve=False))
    _check_devices(meant.get("trainer") or {})


def check_plain_values(settings: Mapping[str, Any], program: str = "", *, written: Any = None) -> None:
    """The same of a plain container. written: it before references were resolved, where there were any."""
    for key, value, rule in _ruled(written or settings, settings, program):
        if not _fits(value, rule.kind) or not _in_range(value, rule):
            raise FlowBenchError(f"{key}={_shown(value)}: {_needed(rule)} is needed.")


def _ruled(written: Any, meant: Any, program: str, key: str = "") -> Iterator[tuple[str, Any, _Rule]]:
    """Every setting that there is a rule for, under the key that the user would change: that which it refers to, if any."""
    if isinstance(meant, list):
        for number, (text, value) in enumerate(zip(written, meant) if isinstance(written, list) else ()):
            yield from _ruled(text, value, program, f"{key}[{number}]")
    if not isinstance(meant, Mapping):
        return
    kinds = _kinds_of(key, meant)
    for name, value in meant.items():
        path = f"{key}.{name}" if key else str(name)
        text = written[name] if isinstance(written, Mapping) else value
        referred = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
        rule = _rule_of(path, program) or (_Rule(kinds[name]) if name in kinds else None)
        # What is wrong inside of a setting is told before that the whole is.
        yield from _ruled(text, value, program, path)
        if rule is not None:
            yield referred[1] if referred else path, value, rule


def _rule_of(path: str, program: str) -> _Rule | None:
    for pattern, rule in _RULES.items():
        parts = pattern.removeprefix(f"{program}:").split(".")
        if re.fullmatch(r"\.".join(_ANY.get(part, re.escape(part)) for part in parts), path):
            return rule
    return None


def _kinds_of(key: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of the callable that these settings are arguments of; empty where there is none."""
    target = settings.get("_target_")
    # Data without a target changes what a checkpoint remembers: its parts lack what is not changed.
    kinds = _annotations(_HANDED_ON[key]) if key in _HANDED_ON and (target or key != "data") else {}
    if not isinstance(target, str) or not target.startswith(_PACKAGES):
        return kinds
    named = _named(target)
    return kinds | (_annotations(named) if callable(named) else {})


def _named(target: str) -> Any:
    """The object of this name; None where there is none, which is then refused where it is built."""
    try:
        return pkgutil.resolve_name(target)
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


def _fits(value: Any, kind: Any) -> bool:
    """Whether a plain value is of an annotated kind. What describes an object fits everything that is not plain."""
    if kind in _KINDS:
        return _is(value, kind)
    if kind is Any or (isinstance(value, Mapping) and "_target_" in value):
        return True
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin in _LISTS:
        return isinstance(value, list) and _members_fit(value, origin, inner)
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, Mapping) and all(_fits(each, inner[1]) for each in value.values() if inner)
    if isinstance(origin, type) and issubclass(origin, Path):
        return isinstance(value, str)
    return value is None


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _members_fit(value: list[Any], origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin is tuple and inner and inner[-1] is not ...:
        return len(value) == len(inner) and all(map(_fits, value, inner))
    return all(_fits(each, inner[0]) for each in value if inner)


def _in_range(value: Any, rule: _Rule) -> bool:
    numbers = [each for each in (value if isinstance(value, list) else [value]) if _is(each, float)]
    if rule.least is None:
        return True
    return all(
        (number > rule.least if rule.above else number >= rule.least) and number <= rule.most for number in numbers
    )


def _needed(rule: _Rule) -> str:
    if rule.least is None:
        return _described(rule.kind)
    above = rule.above or rule.least == 1
    least = "above zero" if above else f"from {rule.least:g} {'up' if rule.most == math.inf else f'to {rule.most}'}"
    kinds = [each for each in (typing.get_args(rule.kind) or (rule.kind,)) if each is not type(None)]
    if typing.get_origin(rule.kind) is tuple or typing.get_origin(kinds[0]) is tuple:
        told = "a list of two whole numbers " + least
    else:
        told = f"{_KINDS[kinds[0]]} {least}"
    return f"{told}, or null," if _fits(None, rule.kind) else told


def _described(kind: Any) -> str:
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if kind in _KINDS:
        return _KINDS[kind]
    if origin in (Union, types.UnionType):
        choices = [choice for each in inner if typing.get_origin(each) is Literal for choice in typing.get_args(each)]
        literal = [_described(Literal[*choices])] if choices else []
        others = [_described(each) for each in inner if typing.get_origin(each) is not Literal]
        return " or ".join(dict.fromkeys([*literal, *others]))
    if origin is Literal:
        return f"one of {', '.join(dict.fromkeys(map(str, inner)))}"
    if origin in _LISTS:
        return f"a list, each member {_described(inner[0])}," if inner else "a list"
    if origin in (dict, collections.abc.Mapping):
        return "a mapping {name: value}"
    return "text" if isinstance(origin, type) and issubclass(origin, Path) else "an object with _target_"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _check_devices(trainer: Mapping[str, Any]) -> None:
    devices, name = trainer.get("devices", "auto"), trainer.get("accelerator", "auto")
    if not isinstance(devices, list) and not re.fullmatch(r"auto|-1|0*[1-9]\d*|\d+(,\d+)+,?|\d+,", str(devices)):
        raise FlowBenchError(f"trainer.devices={devices}: a whole number above zero, -1 or auto for all, is needed.")
    known = {"auto", "gpu", *AcceleratorRegistry.available_accelerators()}
    if name not in known:
        raise FlowBenchError(f"trainer.accelerator={_shown(name)}: choose one of {', '.join(sorted(known))}.")
    there = torch.accelerator.is_available() if name == "gpu" else name == "auto" or _is_there(name)
    if not there:
        raise FlowBenchError(
            f"trainer.accelerator={name}: PyTorch finds none on this machine. Leave it out, or write cpu."
        )


def _is_there(name: str) -> bool:
    return AcceleratorRegistry[name]["accelerator"].is_available()
