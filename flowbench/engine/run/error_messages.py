"""Errors as a user reads them: what was found, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from flowbench.configs import config_folder
from flowbench.engine.config.choices import groups, unknown_choice
from flowbench.engine.config.hints import meant_setting
from flowbench.engine.run.faults import fault
from flowbench.errors import FlowBenchError
from flowbench.structures import ImageSizeError, NonFiniteLossError, UnequalSizesError

USER_ERRORS = (FlowBenchError, HydraException, OmegaConfBaseException, MisconfigurationException, OSError)

_UNKNOWN_KEY = re.compile(r"Could not (?:override|delete from config\.|delete) '(?P<key>[^'=]+)[^']*'")
_INNER_KEY = re.compile(r"full_key: (?P<key>\S+)")
_UNKNOWN_NAME = re.compile(
    r"Could not find '(?P<group>.+)/(?P<name>[^/]+)'\s+Available options in '[^']+':(?P<rest>.*)", re.S
)
_SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '(?P<key>[^=]+)=(?P<values>.*)'\n1\.", re.S)
_INTERNALS = ("full_key:", "object_type=", "reference_type=", "Config search", "provider=")

# Which settings mend what lower layers say without knowing of settings.
_REMEDIES: dict[type[FlowBenchError], str] = {
    UnequalSizesError: " Set schedule.crop for training, data.eval_batch_size=1 for evaluation.",
    ImageSizeError: " The setting is schedule.crop.",
    NonFiniteLossError: " The settings are schedule.lr and trainer.precision=32.",
}


def is_explained(error: BaseException) -> bool:
    """Whether the user can mend it, so that a sentence takes the place of the traceback."""
    return isinstance(error, USER_ERRORS) or _is_of_wandb(error) or fault(error) is not None


def _is_of_wandb(error: BaseException) -> bool:
    """W&B, which takes long to import, alone uses pydantic here, for its settings."""
    return type(error).__module__.startswith(("wandb.", "pydantic_core."))


def sentence(error: BaseException, *, config: str, arguments: list[str]) -> str:
    """What the error says, without the words of the libraries that carried it here.

    config, arguments: what was composed, to name the key that was meant in place of a misspelt one.
    """
    # Names in somebody's file may be no text, which no terminal takes.
    return _message(error, config, arguments).encode(errors="backslashreplace").decode()


def _message(error: BaseException, config: str, arguments: list[str]) -> str:
    ours = next((each for each in _chain(error) if isinstance(each, FlowBenchError)), None)
    if ours is not None:
        return _from_worker(str(ours)) + _REMEDIES.get(type(ours), "")
    if message := fault(error, config=config):
        return message
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return f"{error.filename or 'A file'}: {error.strerror or error}. Check the path, its permissions and the free space."
    if _is_of_wandb(error):
        why = " ".join(str(error).partition(" [type=")[0].split())
        return (
            f"W&B refuses this run: {why.rstrip('.')}. Check the settings below logger.wandb, which a resumed run has in its "
            "config.yaml."
        )
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    return _of_composition(error, config, arguments)


def _of_composition(error: BaseException, config: str, arguments: list[str]) -> str:
    text = str(error)
    if found := _UNKNOWN_KEY.search(text):
        inner = _INNER_KEY.search("\n".join(map(str, _chain(error))))
        if inner and inner["key"].startswith(f"{found['key']}."):
            return f"There is no setting '{inner['key']}': if it is meant to be new, add it, +{inner['key']}=..."
        return _unknown_key(found["key"], config, arguments)
    if found := _UNKNOWN_NAME.search(text):
        names = [line.strip() for line in found["rest"].splitlines() if line.strip()]
        return unknown_choice(
            found["group"], found["name"], [name for name in names if not name.startswith(_INTERNALS)]
        )
    if found := _SEVERAL_VALUES.search(text):
        key, values = found["key"], found["values"]
        return f"{key} was given several values: write {key}=[{values}] for a list, or add -m for one run of each."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith(_INTERNALS))


def _unreadable(word: str) -> str:
    key, _, value = word.partition("=")
    quoted = value.replace("'", "\\'")
    return (
        f"The value of {word} cannot be read: text with brackets, commas, quotes or letters outside ASCII needs quotes "
        f"of its own, \"{key}='{quoted}'\"."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _from_worker(text: str) -> str:
    """An error of a data-loading process arrives with that process's traceback around it."""
    return text.rpartition("FlowBenchError: ")[2].strip() if "Original Traceback" in text else text


def _unknown_key(key: str, config: str, arguments: list[str]) -> str:
    known = _keys(key, config, arguments)
    meant = meant_setting(key, known)
    hint = f"did you mean {meant}?" if meant else "--cfg job shows all settings."
    return f"There is no setting '{key}': {hint}"


def _keys(key: str, config: str, arguments: list[str]) -> list[str]:
    """All settings and groups that the rest of the command line leads to, or the program alone where that is wrong, too."""
    rest = [
        word for word in arguments if "=" in word and not word.lstrip("+").startswith((f"{key}=", "hydra", "-", "~"))
    ]
    for words in (rest, []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(config_folder()), version_base="1.3"):
                composed = compose(config, words)
        except (HydraException, OmegaConfBaseException):
            continue
        return [*_paths(composed), *(group for group in groups() if "/" in group), "hydra.run.dir"]
    return []


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    for name in node:
        if name == "_target_":
            continue
        path = f"{prefix}{name}"
        yield path
        if isinstance(child := node._get_node(name), DictConfig) and not child._is_none():
            yield from _paths(child, f"{path}.")
