"""Objects from plain containers, in which `_target_` names the class or function to call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from flowbench.errors import FlowBenchError
from flowbench.targets import Find

TARGET, PARTIAL = "_target_", "_partial_"


def make(node: Any, find: Find, /, **more: Any) -> Any:
    """The object that a plain container describes.

    A mapping with `_target_` becomes the result of calling that target with the mapping's other entries as keywords, or,
    with `_partial_: true`, a functools.partial of that call. Other mappings and lists stay, with objects in place of the
    mappings that have a target. No text is interpreted. All targets are found before the first is called.

    Args:
        node: mappings, lists, text, numbers, booleans and None.
        find: returns the callable of a target's name, or raises FlowBenchError.
        more: further keywords of the outermost call, given as they are.
    """
    found = {name: find(name) for name in targets(node)}
    return _made(node, found, more)


def targets(node: Any) -> Iterator[str]:
    """The names of all targets in a plain container."""
    for mapping in _mappings(node):
        if TARGET in mapping:
            if not isinstance(mapping[TARGET], str):
                raise FlowBenchError(f"_target_ is {mapping[TARGET]!r}: the name of a class or a function is needed.")
            yield mapping[TARGET]


def _mappings(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
    for child in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _mappings(child)


def _made(node: Any, found: Mapping[str, Callable[..., Any]], more: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_made(child, found, {}) for child in node]
    if not isinstance(node, Mapping):
        return node
    settings = {name: _made(child, found, {}) for name, child in node.items() if name not in (TARGET, PARTIAL)}
    if TARGET not in node:
        return settings
    name = node[TARGET]
    for key in settings:
        if str(key).startswith("_"):
            raise FlowBenchError(
                f"'{key}' of {name} is refused: beside _target_ and _partial_ stand only its arguments."
            )
    if node.get(PARTIAL, False):
        return partial(found[name], **settings, **more)
    return _called(found[name], name, {**settings, **more})


def _called(target: Callable[..., Any], name: str, settings: Mapping[str, Any]) -> Any:
    try:
        return target(**settings)
    except (FlowBenchError, OSError):
        raise
    except ValueError as error:
        raise FlowBenchError(str(error)) from error
    except Exception as error:
        # Libraries raise anything for settings of a wrong kind or name; the user can fix all of them.
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise FlowBenchError(f"{name} cannot be made of its settings: {first_line}") from error
