"""Choices of config groups, looked up before anything is composed.

Hydra passes over a choice that is not there where the group is optional, as the recipe of a model and its data has to be.
What a user names must be there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep

from flowbench.configs import config_folders, file_settings
from flowbench.errors import FlowBenchError

_FOLDER_OPTIONS = ("--config-dir", "-cd")
_NEAREST = 3


def check_choices(words: Sequence[str]) -> None:
    """Raises FlowBenchError, with the nearest names, for a choice among the words that does not exist.

    words: a command line, options with it. The values of a list and of a sweep are choices, too, and so is what a chosen
    file names in its own defaults.
    """
    folders = [*config_folders(), *_own_folders(words)]
    for group, name in _chosen(words):
        _check(group, name, folders, where="")


def unknown_choice(group: str, name: str, options: Sequence[str], where: str = "") -> str:
    """The sentence on a choice that is not there, with the nearest names, or all where none is near."""
    near = difflib.get_close_matches(name, options, n=_NEAREST)
    if near:
        return f"There is no {group} '{name}'{where}: did you mean {' or '.join(near)}? --help all lists them."
    return f"There is no {group} '{name}'{where}: choose one of {', '.join(sorted(options))}."


def groups() -> list[str]:
    """All groups of conf/ and of plug-ins, such as model and model/solver."""
    folders = config_folders()
    return sorted({path.relative_to(folder).as_posix() for folder in folders for path in folder.rglob("*/")})


def _check(group: str, name: Any, folders: Sequence[Path], where: str) -> None:
    group_folders = [folder / group for folder in folders if (folder / group).is_dir()]
    if not group_folders:
        return
    if name is None:
        raise FlowBenchError(f"{group}=null{where}: null is no choice; leave the group out with ~{group}.")
    plain = str(name).removesuffix(".yaml")
    file = next((file for file in (folder / f"{plain}.yaml" for folder in group_folders) if file.is_file()), None)
    if file is None:
        options = [file.stem for folder in group_folders for file in folder.glob("*.yaml")]
        raise FlowBenchError(unknown_choice(group, str(name), options, where))
    for other, chosen in _defaults(group, file):
        _check(other, chosen, folders, where=f", which {group}={name} names")


def _chosen(words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Group and name of each choice on a command line; other settings look alike, as groups that do not exist."""
    for word in words:
        if word.startswith(("-", "~")) or "=" not in word:
            continue
        (parsed,) = OverridesParser.create().parse_overrides([word])
        for value in _each(parsed.value()):
            yield parsed.key_or_group, value


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, ChoiceSweep):
        for choice in value.list:
            yield from _each(getattr(choice, "text", choice))
    elif isinstance(value, list):
        for choice in value:
            yield from _each(choice)
    elif value is None or (isinstance(value, str | int | float) and "${" not in str(value)):
        yield value


def _defaults(group: str, file: Path) -> Iterator[tuple[str, Any]]:
    """What a chosen file chooses itself, but for names that follow from others."""
    for entry in file_settings(file).get("defaults", ()):
        if isinstance(entry, str):
            continue
        key, value = next(iter(entry.items()))
        name = key.split()[-1].partition("@")[0]
        other = name[1:] if name.startswith("/") else f"{group}/{name}"
        yield from ((other, each) for each in _each(value) if each is not None)


def _own_folders(words: Sequence[str]) -> list[Path]:
    """Folders of configuration that the command line adds."""
    behind = [after for word, after in pairwise(words) if word in _FOLDER_OPTIONS]
    joined = [word.partition("=")[2] for word in words if word.startswith("--config-dir=")]
    return [Path(folder) for folder in (*behind, *joined)]
