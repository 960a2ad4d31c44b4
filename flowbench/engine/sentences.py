"""Errors as a user reads them: what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from flowbench.configs import config_folder
from flowbench.errors import FlowBenchError

USER_ERRORS = (FlowBenchError, HydraException, OmegaConfBaseException, OSError)

_UNKNOWN_KEY = re.compile(r"Could not override '(?P<key>[^']+)'")
_UNKNOWN_NAME = re.compile(
    r"Could not find '(?P<group>.+)/(?P<name>[^/]+)'\s+Available options in '[^']+':(?P<rest>.*)", re.S
)
_INTERNALS = ("full_key:", "object_type=", "reference_type=", "Config search", "provider=")


def sentence(error: BaseException, *, config: str, arguments: list[str]) -> str:
    """What the error says, without the words of the libraries that carried it here.

    config, arguments: what was composed, to name the key that was meant in place of a misspelt one.
    """
    ours = next((each for each in _chain(error) if isinstance(each, FlowBenchError)), None)
    if ours is not None:
        return _from_worker(str(ours))
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename or 'A file'}: {error.strerror or error}. Check the path, its permissions and the free space."
    text = str(error)
    if found := _UNKNOWN_KEY.search(text):
        return _unknown_key(found["key"], config, arguments)
    if found := _UNKNOWN_NAME.search(text):
        names = [line.strip() for line in found["rest"].splitlines() if line.strip()]
        names = [name for name in names if not name.startswith(_INTERNALS)]
        return f"There is no {found['group']} '{found['name']}': choose one of {', '.join(names)}."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith(_INTERNALS))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _from_worker(text: str) -> str:
    """An error of a data-loading process arrives with that process's traceback around it."""
    return text.rpartition("FlowBenchError: ")[2].strip() if "Original Traceback" in text else text


def _unknown_key(key: str, config: str, arguments: list[str]) -> str:
    if key == "ckpt":
        return "ckpt is no setting of the configuration, but an addition to it: write +ckpt=<file>, with a plus."
    if (config, key) == ("evaluate", "iterations"):
        return (
            "There is no setting 'iterations' in evaluation: write steps=<number>, or steps=[<number>,...] to compare."
        )
    meant = difflib.get_close_matches(key, _keys(key, config, arguments), n=1)
    hint = f"did you mean {meant[0]}?" if meant else "--cfg job shows all settings."
    return f"There is no setting '{key}': {hint}"


def _keys(key: str, config: str, arguments: list[str]) -> list[str]:
    """All settings that the rest of the command line leads to; none where it is wrong in another place, too."""
    rest = [word for word in arguments if "=" in word and not word.startswith((f"{key}=", "hydra"))]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose(config, rest)
    except (HydraException, OmegaConfBaseException):
        return []
    return list(_paths(composed))


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    for name in node:
        path = f"{prefix}{name}"
        yield path
        if isinstance(child := node._get_node(name), DictConfig) and not child._is_none():
            yield from _paths(child, f"{path}.")
