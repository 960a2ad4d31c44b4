"""FlowBench: train, measure and compare optical-flow networks under one protocol."""

from typing import Any

from flowbench.io import read_flow, write_flow
from flowbench.report.colour import flow_to_image

__all__ = ["flow_to_image", "load", "read_flow", "write_flow"]


def __getattr__(name: str) -> Any:
    # Loading a model needs Hydra and Lightning; whoever wants a network or a file alone need not wait for them.
    if name == "load":
        from flowbench.loading import load

        return load
    raise AttributeError(f"module 'flowbench' has no attribute '{name}'")
