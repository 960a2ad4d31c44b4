"""Plug-ins: packages of models and data sets outside of FlowBench, which the user names for each command.

A plug-in is a Python package, installed or in the working folder. Its folder `conf/`, if it has one, adds options to the
config groups. It is imported because the user named it: no file, be it a checkpoint or the settings of a run, can have it
imported.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from flowbench.errors import FlowBenchError

ENTRY_POINTS = "flowbench.plugins"


@dataclass(frozen=True)
class _Plugin:
    """package: its full name. folder: its conf/, or None. parts: what the files there name as targets, of the package."""

    package: str
    folder: Path | None
    parts: frozenset[str]


# By the names that the user gave. Like the modules that they import, plug-ins belong to the process.
_used: dict[str, _Plugin] = {}


def use_plugins(*names: str) -> None:
    """Makes plug-ins known for the rest of the process: their models and data sets, by name.

    Args:
        names: of packages that can be imported from here or lie in the working folder, or of entry points of the group
            `flowbench.plugins`.

    Raises FlowBenchError for one that is not there, or cannot be imported.

        flowbench.use_plugins("mymodels")
        model = flowbench.load("tiny", "best.ckpt")
    """
    for name in names:
        if name not in _used:
            _used[name] = _found(name)


@contextmanager
def plugins_of_its_own() -> Iterator[None]:
    """Within it, only those plug-ins are known that are named there."""
    before = dict(_used)
    _used.clear()
    try:
        yield
    finally:
        _used.clear()
        _used.update(before)


def used() -> list[str]:
    """The names of the plug-ins that are known."""
    return list(_used)


def plugin_folders() -> list[Path]:
    """The folders of configuration of the plug-ins that are known."""
    return [plugin.folder for plugin in _used.values() if plugin.folder]


def plugin_parts() -> frozenset[str]:
    """The classes and functions of plug-ins that a checkpoint may name: those that their own conf/ names as targets."""
    return frozenset().union(*(plugin.parts for plugin in _used.values()))


def is_of_a_plugin(name: str) -> bool:
    """Whether a dotted name lies in a plug-in."""
    return any(_lies_in(name, plugin.package) for plugin in _used.values())


def _lies_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _found(name: str) -> _Plugin:
    offered = {entry.name: entry.value for entry in metadata.entry_points(group=ENTRY_POINTS)}
    package = offered.get(name, name)
    if not all(part.isidentifier() for part in package.split(".")):
        raise FlowBenchError(
            f"plugins={name}: the name of a Python package is needed, such as mymodels for the folder mymodels/."
        )
    try:
        module = _imported(package)
    except FlowBenchError:
        raise
    except Exception as error:
        raise FlowBenchError(f"The plug-in '{name}' cannot be imported: {type(error).__name__}: {error}.") from error
    if module is None:
        near = difflib.get_close_matches(name, offered)
        hint = f"did you mean {' or '.join(near)}?" if near else "install it, or start in the folder that holds it."
        raise FlowBenchError(f"There is no plug-in '{name}': {hint}")
    folders = [Path(path) / "conf" for path in getattr(module, "__path__", ())]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    return _Plugin(package, folder, frozenset(_targets_of(folder, package)) if folder else frozenset())


def _imported(package: str) -> Any:
    """The package; None where there is none."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if not _lies_in(package, str(error.name)):
            raise
    if (here := os.getcwd()) in sys.path:
        return None
    # Behind all others, so that nothing in the working folder takes the place of an installed package.
    sys.path.append(here)
    importlib.invalidate_caches()
    return _imported(package)


def _targets_of(folder: Path, package: str) -> Iterator[str]:
    for file in sorted(folder.rglob("*.yaml")):
        try:
            settings = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            raise FlowBenchError(f"'{file}' is no YAML file: {' '.join(str(error).split())}.") from error
        yield from (name for name in _targets(settings) if _lies_in(name, package))


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (str(name) for key, name in node.items() if key == "_target_")
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _targets(child)
