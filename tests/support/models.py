"""Models small enough to train inside a test."""

from __future__ import annotations

from flowbench.engine.config.groups import model_config
from flowbench.engine.config.models import build_model
from flowbench.models.base import FlowModel

# One model of each architecture: the others differ from these in their numbers of channels alone.
ARCHITECTURES = ("raft", "raft_small", "deqflow_tiny", "deltadeq_tiny", "fastflownet", "lightflow_05")


def short_model(name: str, iterations: int = 2) -> FlowModel:
    """A model of conf/model with few iterations or solver steps, where it has them; fresh weights, in train mode."""
    config = model_config(name)
    for setting in ("iterations", "eval_iterations"):
        if setting in config.network:
            config.network[setting] = iterations
    if "deq" in config.network:
        config.network.deq.solver.max_steps = config.network.deq.eval_steps = iterations
        config.network.deq.corrections.count = 1
    return build_model(config)
