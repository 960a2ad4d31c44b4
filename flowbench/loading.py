"""Models for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowbench.configs import option_names
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model, load_model
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel
from flowbench.pretrained import Weights, shipped_weights, weights_named

SHIPPED = "shipped"


def load(
    model_or_weights: str | Path, weights: str | Path | None = SHIPPED, overrides: Sequence[str] = ()
) -> FlowModel:
    """A model in eval mode.

    Args:
        model_or_weights: a name of conf/model ("raft_h"); or weights alone that know their model: one of our checkpoints, or
            the name of weights ("raft-things").
        weights: of the named model: a file, ours or official; the name of weights, whole or without the model's ("things");
            None for fresh, random weights. By default those that FlowBench ships.
        overrides: changes to the model's config, as on the command line without the leading "model." or "model/", for
            instance ["network.eval_iterations=12"] or ["solver=anderson"].

    Raises FlowBenchError for an unknown model, for one without shipped weights where these are asked for, and for weights
    that do not fit.

        model = flowbench.load("fastflownet")
        flow = model.estimate(image1, image2).flow      # uint8 arrays (H, W, 3) -> (1, 2, H, W) pixels
    """
    first = str(model_or_weights)
    names = option_names("model")
    if first in names:
        return _model_with_weights(first, weights, overrides)
    if weights != SHIPPED or not (weights_named(first) or Path(first).is_file()):
        raise FlowBenchError(
            f"'{first}' is neither a model nor a checkpoint file nor the name of weights; the models are "
            f"{', '.join(names)}."
        )
    if overrides:
        raise FlowBenchError("Overrides need the model's name: load(name, weights, overrides).")
    return load_model(model_or_weights)[0]


def _model_with_weights(name: str, weights: str | Path | None, overrides: Sequence[str]) -> FlowModel:
    if weights is None:
        return build_model(model_config(name, overrides)).eval()
    checkpoint = _shipped(name) if weights == SHIPPED else _full_name(name, weights)
    entry = checkpoint if isinstance(checkpoint, Weights) else weights_named(str(checkpoint))
    published = entry.overrides if entry else ()
    return load_model(checkpoint, model_config(name, [*published, *overrides]))[0]


def _shipped(model: str) -> Weights:
    try:
        return shipped_weights(model)
    except FlowBenchError as error:
        raise FlowBenchError(f'{error} load("{model}", None) gives a model with random weights.') from error


def _full_name(model: str, weights: str | Path) -> str | Path:
    """ "things" is raft-things for raft, unless a file is called so."""
    full = f"{model}-{weights}"
    if weights_named(full) is None or weights_named(str(weights)):
        return weights
    if Path(weights).is_file():
        raise FlowBenchError(
            f"'{weights}' is a file in this folder and, for {model}, the name of the weights {full}: write "
            f"./{weights} or {full}."
        )
    return full
