"""Former names of settings, which old checkpoints, config files and commands still use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowbench.errors import FlowBenchError

# The former key, and the last part of today's.
FORMER: Mapping[str, str] = {
    "roots": "paths",
    "data.protocol.headline": "reported_metrics",
    "model.fitting": "padder",
    "schedule.optimisation.lr_scheduler.overhang": "extra_steps",
    "schedule.optimisation.undecayed": "no_weight_decay",
}

_FORMER_REFERENCE, _REFERENCE = "${roots.", "${paths."


def current_key(key: str) -> str:
    """Today's name of a setting, given by its dotted key."""
    for former, name in FORMER.items():
        if key == former or key.startswith(f"{former}."):
            above = former[: former.rfind(".") + 1]
            return f"{above}{name}{key[len(former) :]}"
    return key


def with_current_names(settings: Mapping[Any, Any], above: str = "") -> dict[str, Any]:
    """A copy of plain settings under today's names.

    Where a former name stands beside today's, as in a file that changes a setting of another file, its value counts.

    Args:
        settings: mappings, lists and plain values.
        above: the dotted key of the settings, with a dot at its end; empty for those of a whole program or checkpoint.
    """
    result: dict[str, Any] = {}
    former: dict[str, Any] = {}
    for name, value in settings.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            value = with_current_names(value, f"{key}.")
        current = current_key(key)
        if current == key:
            result[name] = value
        else:
            former[current.rpartition(".")[2]] = value
    for name, value in former.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = {**result[name], **value} if both else value
    return result


def has_former_names(settings: Any) -> bool:
    """Whether plain settings hold a former name, or refer to one."""
    return any(_holds(settings, former.split(".")) for former in FORMER) or _refers(settings)


def refuse_former_beside(settings: Any, keys: Iterable[str]) -> None:
    """Raises FlowBenchError where settings hold a former name of one of these keys, and so two values of one setting."""
    given = list(keys)
    for former in FORMER:
        current = current_key(former)
        found = next((key for key in given if key == current or key.startswith(f"{current}.")), None)
        if found and _holds(settings, former.split(".")):
            raise FlowBenchError(
                f"{found} was given, but a config file sets it as {former}, its former name: rename it to {current} there."
            )


def with_current_references(node: Any) -> Any:
    """Plain settings in which `${roots.<set>}` is `${paths.<set>}`, as it is called today."""
    if isinstance(node, Mapping):
        return {name: with_current_references(child) for name, child in node.items()}
    if isinstance(node, list):
        return [with_current_references(child) for child in node]
    return node.replace(_FORMER_REFERENCE, _REFERENCE) if isinstance(node, str) else node


def _refers(node: Any) -> bool:
    if isinstance(node, str):
        return _FORMER_REFERENCE in node
    children = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return any(_refers(child) for child in children)


def _holds(node: Any, keys: list[str]) -> bool:
    if not keys:
        return True
    return isinstance(node, Mapping) and keys[0] in node and _holds(node[keys[0]], keys[1:])
