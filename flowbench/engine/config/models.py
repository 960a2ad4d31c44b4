"""Models that are ready to use, from a config or a checkpoint."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from flowbench.builder import TARGET, targets
from flowbench.checkpoints.families import model_of
from flowbench.checkpoints.read import SETTINGS, check_weights, is_ours, load_weights, read_checkpoint
from flowbench.checkpoints.settings import build_remembered, merged, plain_settings, refuse_interpolations
from flowbench.configs import build, plain, resolved
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.value_checks import check_plain_group
from flowbench.errors import FlowBenchError
from flowbench.models.base import TRAINING_SIZE, FlowModel, Optimisation
from flowbench.pretrained import DEFAULT, Located, Weights, locate, sha256_of, shipped_weights
from flowbench.targets import Find, find_own, find_part

log = logging.getLogger(__name__)

# Under what names training programs store the weights beside other things.
_STATE_DICTS = ("state_dict", "model_state_dict", "model")


def build_model(
    config: DictConfig, *, optimisation: Optimisation | None = None, remembered: Mapping[str, Any] | None = None
) -> FlowModel:
    """A model from its config, with fresh weights.

    Args:
        config: That of conf/model, which the model remembers.
        optimisation: For training.
        remembered: What else its checkpoints are to remember, such as the data.
    """
    _family(config, find_own)
    return build(config, optimisation=optimisation, settings={"model": resolved(config), **(remembered or {})})


def _family(config: Mapping[str, Any] | DictConfig, find: Find) -> type[FlowModel]:
    """The class of the model that a config describes. Raises FlowBenchError where it describes something else."""
    name = config.get(TARGET)
    family = find(name) if isinstance(name, str) else None
    if not (isinstance(family, type) and issubclass(family, FlowModel)):
        raise FlowBenchError(
            f"The _target_ of the model is {name!r}, which is no class of a model: choose model=<name>."
        )
    return family


def load_model(
    checkpoint: str | Path | Weights, config: DictConfig | None = None
) -> tuple[FlowModel, Mapping[str, Any]]:
    """A model in eval mode with a checkpoint's weights, and the settings that the checkpoint remembers.

    Args:
        checkpoint: a file, or named weights (`flowbench.pretrained`) or their name.
        config: a config of conf/model, or changes. Ours and named weights know their model, whose settings it may change; an
            official file needs the whole config.
    """
    located = _located(checkpoint)
    if located.entry is not None:
        config = _config_of(located.entry, config)
    checkpoint = located.path
    contents = read_checkpoint(checkpoint)
    settings = plain_settings(contents[SETTINGS]) if is_ours(contents) else {}
    if settings:
        model = _from_ours(settings, config, contents, checkpoint)
    elif config and TARGET in config:
        model = _for_official(config, contents)
    else:
        held = model_of(official_state(contents))
        raise FlowBenchError(
            f"'{checkpoint}' was not written by FlowBench and does not say which model it is: add model="
            f"{f'{held}, to which its weights belong by their names' if held else '<name>'}."
        )
    _load(model, contents, located)
    if located.entry and _is_size(located.entry.facts.get(TRAINING_SIZE)):
        model.settings[TRAINING_SIZE] = located.entry.facts[TRAINING_SIZE]
    return model.eval(), settings


def _located(checkpoint: str | Path | Weights) -> Located:
    """The file; of named weights, the log has what they are."""
    located = locate(checkpoint)
    if entry := located.entry:
        digits = sha256_of(located.path)[:8]
        log.info("weights: %s from %s, sha256 %s..., trained on %s", entry.name, entry.source, digits, entry.trained_on)
    return located


def _config_of(entry: Weights, config: DictConfig | None) -> DictConfig:
    """The config that was asked for, or else that of the named weights' model with the changes that were."""
    if config and TARGET in config:
        return config
    own = model_config(entry.model, entry.overrides)
    if not config:
        return own
    changed = merged(plain(own), plain(config))
    check_plain_group("model", changed)
    return OmegaConf.create(changed)


def shipped_weights_for(config: DictConfig | None) -> Weights:
    """The shipped weights that serve where no checkpoint is given: those of the model, where one is named.

    Raises FlowBenchError for a model that has none.
    """
    return shipped_weights(str(config.name) if config and TARGET in config else DEFAULT)


def _is_size(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(type(side) is int and side > 0 for side in found)


def _load(model: FlowModel, contents: Mapping[str, Any], located: Located) -> None:
    named = located.entry.model if located.entry else None
    held = named or (None if is_ours(contents) else model_of(official_state(contents)))
    load_weights(model.network, network_weights(model, contents), source=located.path, held=held)


def _from_ours(
    settings: Mapping[str, Any], config: DictConfig | None, contents: Mapping[str, Any], checkpoint: str | Path
) -> FlowModel:
    remembered = settings["model"]
    size = {TRAINING_SIZE: list(settings[TRAINING_SIZE])} if _is_size(settings.get(TRAINING_SIZE)) else {}
    if config and TARGET in config and config.get("name") != remembered.get("name"):
        return _of_another_name(remembered, config, size)
    changes = plain(config) if config else {}
    described = merged(remembered, changes)
    also = set(targets(changes))
    refuse_interpolations({"model": described})
    check_plain_group("model", described)
    _family(described, partial(find_part, also=also))
    # Resolved without the environment, which may hold secrets.
    kept = {"model": merged(remembered, resolved(config) if config else {}), **size}
    make = partial(build_remembered, described, also=also, settings=kept)
    # First without memory, of which settings might ask for any amount: the file holds as much as the model needs.
    with torch.device("meta"):
        model = make()
    check_weights(model.network, network_weights(model, contents), source=checkpoint)
    return make()


def _of_another_name(remembered: Mapping[str, Any], config: DictConfig, size: Mapping[str, Any]) -> FlowModel:
    """The model that was asked for, where the weights of the remembered one are its own."""
    changes = _family(config, find_own).changes_for_weights_of(plain(config), remembered)
    if changes is None:
        raise FlowBenchError(
            f"The checkpoint holds the model '{remembered.get('name')}', but model={config.get('name')} was asked for: leave "
            "model out, the checkpoint knows its own."
        )
    return build_model(_changed(config, changes), remembered=size)


def _changed(config: DictConfig, changes: Mapping[str, Any]) -> DictConfig:
    changed = copy.deepcopy(config)
    changed.merge_with(changes)
    return changed


def _for_official(config: DictConfig, contents: Mapping[str, Any]) -> FlowModel:
    """The model that was asked for, in the variant that the checkpoint holds."""
    changes = _family(config, find_own).official_changes(plain(config), official_state(contents))
    return build_model(_changed(config, changes))


def start_from(model: FlowModel, checkpoint: str | Path) -> None:
    """Copies a checkpoint's weights, ours, official or named, into a model that keeps its own settings."""
    located = _located(checkpoint)
    contents = read_checkpoint(located.path)
    if is_ours(contents):
        trained_with = plain_settings(contents[SETTINGS])["model"]["network"]
    else:
        trained_with = model.official_changes(model.settings["model"], official_state(contents)).get("network", {})
    own = model.settings["model"]["network"]
    for name in model.weights_depend_on:
        if name in trained_with and trained_with[name] != own[name]:
            needed = f"model.network.{name}={str(trained_with[name]).lower()}"
            raise FlowBenchError(
                f"The weights in '{checkpoint}' need {needed}, but the model has {str(own[name]).lower()}: add {needed}, or "
                "start from other weights."
            )
    _load(model, contents, located)


def network_weights(model: FlowModel, contents: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network's state dict from the contents of our checkpoint or of an official one."""
    if is_ours(contents):
        state = contents["state_dict"]
        return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    return model.from_official(official_state(contents))


def official_state(contents: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict that a file of another code base is, or holds under one of the usual names.

    Raises FlowBenchError where there is none.
    """
    for state in (contents, *(contents.get(name) for name in _STATE_DICTS)):
        if isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values()):
            return {str(name): tensor for name, tensor in state.items()}
    raise FlowBenchError(
        f"The checkpoint holds no state dict: a mapping of parameter names to tensors was expected, as it is or under "
        f"{', '.join(_STATE_DICTS)}; found {', '.join(sorted(map(str, contents))[:6]) or 'nothing'}."
    )
