"""The config.yaml of a run that is resumed, which somebody else may have written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowbench.builder import targets
from flowbench.configs import with_current_settings
from flowbench.engine.config.arguments import current_word
from flowbench.errors import FlowBenchError
from flowbench.plugins import plugin_parts, used
from flowbench.targets import PARTS, TRAINING, current

_ENVIRONMENT = re.compile(r"\$\{oc\.env:\s*(\w+)\s*(?:,[^${}]*)?\}")
_REMEDY = "If you started this run yourself, and only then, repeat its words beside resume=; provenance.json has them."


def read_settings(file: Path, own: DictConfig) -> DictConfig:
    """A run's settings, of which nothing but environment variables is left to be resolved.

    Args:
        file: the config.yaml of a run.
        own: the user's own configuration, composed for this command. The file may name the targets and the environment
            variables that this one names.

    Raises FlowBenchError for other targets than those of flowbench/targets.py, and for other interpolations.
    """
    settings = OmegaConf.load(file)
    if not isinstance(settings, DictConfig):
        raise FlowBenchError(f"'{file}' holds no settings of a run: nothing was run. {_REMEDY}")
    settings = with_current_settings(settings)
    if "init" in settings:
        # A run starts from weights only once; their file's name may hold anything.
        settings.init = None
    written = OmegaConf.to_container(settings, resolve=False)
    trusted = OmegaConf.to_container(own, resolve=False)
    allowed = PARTS | TRAINING | plugin_parts() | set(targets(trusted))
    for name in targets(written):
        if current(name) not in allowed:
            remedy = _plugins_to_name(written) or _REMEDY
            raise FlowBenchError(
                f"'{file}' names the target '{name}', which is none of FlowBench's: nothing was run. {remedy}"
            )
    known = {name for text in _texts(trusted) for name in _variables(text)[0]}
    for text in _texts(written):
        names, rest = _variables(text)
        if names - known or "${" in rest:
            raise FlowBenchError(
                f"'{file}' holds the reference '{text}', which is not followed in somebody's file: nothing was run. {_REMEDY}"
            )
    return settings


def _plugins_to_name(written: Any) -> str | None:
    """What to do where the run used plug-ins that this command does not name."""
    found = written.get("plugins") or []
    missing = [str(name) for name in (found if isinstance(found, list) else [found]) if name not in used()]
    if not missing:
        return None
    named = missing[0] if len(missing) == 1 else f"[{','.join(missing)}]"
    return f"The run used a plug-in, which only you can name again: if it is yours, add plugins={named} beside resume=."


def words_of_run(folder: Path) -> list[str]:
    """The words of the command line that started a run; none where it is not known."""
    try:
        command = json.loads((folder / "provenance.json").read_text())["command"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [current_word(str(word)) for word in command[1:]] if isinstance(command, list) else []


def _variables(text: str) -> tuple[set[str], str]:
    """The environment variables that a text refers to, and the text without these references."""
    names: set[str] = set()
    # The default of one may be another one.
    while found := _ENVIRONMENT.findall(text):
        names |= set(found)
        text = _ENVIRONMENT.sub("", text)
    return names, text


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for name, child in node.items():
            yield from _texts(name)
            yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
