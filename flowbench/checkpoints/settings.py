"""The settings that a checkpoint remembers: somebody else's text, in which only the folders of data sets are filled in.

A remembered container holds plain values. `{paths.<set>}` in a path stands for the folder of a data set, which the reader of
the checkpoint may have elsewhere; older files write `{roots.<set>}` or `${roots.<set>}`. Any other text with `${` is refused:
OmegaConf, here or in a program that reads what we write, would take it for an instruction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from flowbench.builder import TARGET, make
from flowbench.errors import FlowBenchError
from flowbench.former_names import with_current_names
from flowbench.targets import current, find_part

Settings = dict[str, Any]

# Limits of untrusted settings, far above any real ones: nesting, entries, and absolute values, of all and of the model alone.
_DEEPEST, _MOST = 32, 100_000
_LARGEST, _LARGEST_OF_MODEL = 2**32, 2**16
# The settings of data that are paths, by the last part of their keys and by what they lie below.
_PATHS = {"cutouts", "flow", "folder", "images", "lists", "root", "second", "split_file", "textures"}
_REFERENCE = re.compile(r"\$?\{(?:paths|roots)\.(\w+)\}")
# The folders of conf/paths.yaml as older files have them: they follow the environment of whoever reads the checkpoint.
_ROOT_OF_ENVIRONMENT = "${oc.env:FLOWBENCH_DATA"


def build_remembered(settings: Mapping[str, Any], /, *, also: Collection[str] = (), **more: Any) -> Any:
    """The object that plain settings of a checkpoint describe.

    also: targets that the user's own configuration names. Raises FlowBenchError for other targets than parts of models and
    of data, and for text that would be an interpolation.
    """
    refuse_interpolations(settings)
    return make(settings, partial(find_part, also=also), **more)


def plain_settings(found: Mapping[str, Any]) -> Settings:
    """A copy of remembered settings, under today's names.

    Raises FlowBenchError for anything but mappings, lists, text, numbers, booleans and None, and where there is no model.
    """
    remaining = iter(range(_MOST))

    def copied(node: Any, depth: int) -> Any:
        if depth > _DEEPEST or next(remaining, None) is None:
            raise FlowBenchError(
                "The checkpoint's settings are nested too deep or too many to be those of a model: it was not loaded."
            )
        if isinstance(node, Mapping):
            return {_key(name): copied(child, depth + 1) for name, child in node.items()}
        if isinstance(node, list | tuple):
            return [copied(child, depth + 1) for child in node]
        if type(node) is str:
            return _text(node)
        if type(node) is int and abs(node) > _LARGEST:
            raise FlowBenchError(
                f"The checkpoint's settings hold a number of {len(str(abs(node)))} digits, which none of a model is: it was "
                "not loaded."
            )
        if node is None or type(node) in (bool, int, float, str):
            return node
        raise FlowBenchError(
            f"The checkpoint's settings hold a {type(node).__name__}, but only text, numbers and lists of them are settings."
        )

    settings = with_current_names(copied(found, 0))
    model = settings.get("model")
    if (
        not isinstance(model, dict)
        or not isinstance(model.get("network"), dict)
        or not isinstance(model.get("name"), str)
    ):
        raise FlowBenchError(
            "The checkpoint's settings do not describe a model with a name and a network: it was not loaded."
        )
    for path, value in _leaves(model, "model"):
        if type(value) is int and abs(value) > _LARGEST_OF_MODEL:
            raise FlowBenchError(
                f"The checkpoint remembers {path}={value}, but no model counts or measures beyond {_LARGEST_OF_MODEL:,}: it "
                "was not loaded."
            )
    return settings


def _key(name: Any) -> str | int:
    if isinstance(name, str) and "${" not in name:
        return _text(name)
    if type(name) is int:
        return name
    raise FlowBenchError(
        f"The checkpoint's settings have the key {name!r}, but keys are plain names: it was not loaded."
    )


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FlowBenchError(
            f"The checkpoint's settings hold {text!a:.60}, which is no text: it is damaged, or was made to be, and was not "
            "loaded."
        ) from error
    return text


def merged(remembered: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """Remembered settings with plain changes.

    A part with another target replaces the old one, without the old one's settings.
    """
    result = dict(remembered)
    for name, change in changes.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(change, Mapping):
            another_kind = TARGET in change and current(change[TARGET]) != current(str(old.get(TARGET)))
            result[name] = merged({} if another_kind else old, change)
        else:
            result[name] = change
    return result


def refuse_interpolations(settings: Any) -> None:
    """Raises FlowBenchError, which names the setting, for text that OmegaConf would interpret."""
    for path, value in _leaves(settings):
        if isinstance(value, str) and "${" in value:
            raise FlowBenchError(
                f"The checkpoint remembers {path}={value}, and such a reference is not followed in somebody's file: give the "
                f"value yourself, ++{path}=<value>, or name the {path.partition('.')[0]} anew."
            )


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping | list):
        yield path, node
        return
    for name, child in node.items() if isinstance(node, Mapping) else enumerate(node):
        yield from _leaves(child, f"{path}.{name}" if path else str(name))


def reference(name: str) -> str:
    """How a checkpoint's data refers to the folder paths.<name>."""
    return f"{{paths.{name}}}"


def chosen_roots(remembered: Mapping[str, Any], own: Mapping[str, Any], written: Mapping[str, Any]) -> Settings:
    """The folders of the data sets: those that the user names, else those of the checkpoint, else the defaults.

    Args:
        remembered: The checkpoint's roots.
        own: The user's.
        written: The same before they are resolved, in which those that follow the environment name no folder.
    """
    named = {name for name, root in written.items() if root is not None and not _follows_environment(root)}
    kept = {name: root for name, root in remembered.items() if name not in named and not _follows_environment(root)}
    return {**own, **kept}


def _follows_environment(root: Any) -> bool:
    return isinstance(root, str) and root.startswith(_ROOT_OF_ENVIRONMENT)


def with_roots(data: Any, roots: Mapping[str, Any], *, path: bool = False) -> Any:
    """Remembered data with references in paths replaced by folders.

    Args:
        data: settings of data, or a part of them.
        roots: folders by the data sets' names.
        path: whether this part is a path.
    """
    if isinstance(data, Mapping):
        return {name: with_roots(child, roots, path=path or name in _PATHS) for name, child in data.items()}
    if isinstance(data, list):
        return [with_roots(child, roots, path=path) for child in data]
    if not isinstance(data, str) or not path:
        return data
    reference_alone = _REFERENCE.fullmatch(data)
    if reference_alone:
        return _root(reference_alone[1], roots)
    return _REFERENCE.sub(lambda found: str(_root(found[1], roots)), data)


def _root(name: str, roots: Mapping[str, Any]) -> Any:
    if name not in roots:
        raise FlowBenchError(
            f"The checkpoint's data lie in the folder paths.{name}, which is unknown here: add +paths.{name}=<folder>."
        )
    return roots[name]


def remembered_number(settings: Mapping[str, Any], name: str) -> bool | int | float | None:
    """One remembered setting that may enter the user's own configuration: a number, a boolean or None, never text."""
    value = settings.get(name)
    if value is None or type(value) in (bool, int) or (type(value) is float and math.isfinite(value)):
        return value
    raise FlowBenchError(f"The checkpoint remembers network.{name}={value!r}, but a number or a boolean was expected.")
