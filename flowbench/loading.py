"""Models for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowbench.configs import option_names
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model, load_model
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel


def load(
    model_or_checkpoint: str | Path, checkpoint: str | Path | None = None, overrides: Sequence[str] = ()
) -> FlowModel:
    """A model in eval mode.

    Args:
        model_or_checkpoint: a name of conf/model ("raft_h"), or one of our checkpoints, which knows its model.
        checkpoint: weights for the named model, ours or official; without it the weights are random.
        overrides: changes to the model's config, as on the command line without the leading "model." or "model/", for
            instance ["network.eval_iterations=12"] or ["solver=anderson"].

    Raises FlowBenchError for an unknown model and for a checkpoint that does not fit.

        model = flowbench.load("raft", "raft-things.pth")
        flow = model.estimate(image1, image2).flow      # uint8 arrays (H, W, 3) -> (1, 2, H, W) pixels
    """
    names = option_names("model")
    if str(model_or_checkpoint) in names:
        config = model_config(str(model_or_checkpoint), overrides)
        return build_model(config).eval() if checkpoint is None else load_model(checkpoint, config)[0]
    if checkpoint is None and Path(model_or_checkpoint).is_file():
        if overrides:
            raise FlowBenchError("Overrides need the model's name: load(name, checkpoint, overrides).")
        return load_model(model_or_checkpoint)[0]
    raise FlowBenchError(
        f"'{model_or_checkpoint}' is neither a model nor a checkpoint file; the models are {', '.join(names)}."
    )
