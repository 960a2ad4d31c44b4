"""Settings of programs: frozen dataclasses, made from a composed config or by hand."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from omegaconf import DictConfig, OmegaConf

from flowbench.configs import with_current_settings
from flowbench.engine.config.groups import chosen_data, data_config
from flowbench.engine.config.kinds import is_list, read
from flowbench.engine.config.value_checks import check_group
from flowbench.engine.run import Run
from flowbench.errors import FlowBenchError
from flowbench.former_names import refuse_former_beside

Split = Literal["train", "val", "test"]
"""The pairs of a data set whose ground truth is known."""

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Settings:
    """The settings of a program, whose kinds and ranges are the annotations of the fields.

    A subclass checks in `check` what concerns several of them. Config groups stay as they are composed: by the command line,
    or by `model_config` and `data_config` of composed_groups.

    Raises FlowBenchError, which names the setting, for a value that cannot work.
    """

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self), include_extras=True)
        for field in dataclasses.fields(self):
            value = read(field.name, getattr(self, field.name), kinds[field.name])
            object.__setattr__(self, field.name, value)
        for name, group in self._groups():
            check_group(name, group)
        self.check()

    def check(self) -> None:
        """Raises FlowBenchError for settings that exclude each other, or lack another."""

    def _groups(self) -> Iterator[tuple[str, DictConfig]]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for each in value if is_list(value) else (value,):
                if isinstance(each, DictConfig):
                    yield field.name, each


def settings_of(kind: type[S], config: DictConfig, overrides: Sequence[str] = ()) -> S:
    """A program's settings from its composed config.

    Args:
        kind: The settings' class, whose fields bear the names of the config's settings.
        config: That of conf/<program>.yaml with the user's changes.
        overrides: The changes, for a list of data sets: Hydra would merge their configs into one.
    """
    keys = [word.partition("=")[0].lstrip("+~") for word in overrides]
    refuse_former_beside(OmegaConf.to_container(config, resolve=False), keys)
    config = with_current_settings(config)
    names = {field.name for field in dataclasses.fields(kind)}
    given = {name: _plain(config[name]) for name in names if name in config}
    if "others" in names:
        written = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
        given["others"] = {name: value for name, value in written.items() if name not in names}
    several = chosen_data(overrides)
    if several and "data" in given:
        if not _takes_several(kind, "data"):
            raise FlowBenchError(f"data=[{','.join(several)}]: one data set at a time, for instance data={several[0]}.")
        given["data"] = tuple(data_config(name, overrides) for name in several)
    return kind(**given)


def settings_class(task: Callable[[Any, Run], Any]) -> type[Settings]:
    """The class of a program's settings: the annotation of its argument of that name."""
    kind: type[Settings] = typing.get_type_hints(task)["settings"]
    return kind


def _takes_several(kind: type[Settings], name: str) -> bool:
    members = typing.get_args(typing.get_type_hints(kind)[name])
    return any(typing.get_origin(each) is tuple for each in members)


def _plain(value: Any) -> Any:
    """Lists as lists; groups stay, for they may refer to each other and to the environment."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_list(value) else value
