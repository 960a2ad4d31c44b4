"""How a data set's protocol and the command line get along."""

from __future__ import annotations

from flowbench.engine.arguments import job_overrides
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel
from flowbench.structures import Protocol

# What a protocol sets, where the command line may have set it, and how to do so in spite of the protocol.
_OVERRULED = {
    "padding": ("model.fitting.mode", "data.protocol.padding"),
    "updates": ("model.network.eval_iterations", "data.protocol.updates"),
}


def follow_protocol(model: FlowModel, protocol: Protocol) -> None:
    """Has the model estimate by the protocol. Raises FlowBenchError where the command line asks for something else."""
    given = {word.lstrip("+").partition("=")[0] for word in job_overrides()}
    for name, (key, instead) in _OVERRULED.items():
        concerns = name == "padding" or model.updates_are_fixed
        if key in given and concerns and getattr(protocol, name) is not None:
            raise FlowBenchError(
                f"{key} was given, but the data's protocol says {name}={getattr(protocol, name)}: give {instead} instead"
                f"{' (++ where data is not named)' if 'data' not in given else ''}."
            )
    model.follow(protocol)
