"""FlowBench: train, measure and compare optical-flow networks under one protocol."""

from flowbench.io import read_flow, write_flow
from flowbench.load import load
from flowbench.report.colour import flow_to_image

__all__ = ["flow_to_image", "load", "read_flow", "write_flow"]
