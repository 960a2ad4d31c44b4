"""FlowBench: train, measure and compare optical-flow networks under one protocol."""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbench.io import read_flow, write_flow
    from flowbench.loading import load
    from flowbench.plugins import use_plugins
    from flowbench.report.colour import flow_to_image

__all__ = ["flow_to_image", "load", "read_flow", "use_plugins", "write_flow"]

_MODULES = {
    "flow_to_image": "flowbench.report.colour",
    "load": "flowbench.loading",
    "read_flow": "flowbench.io",
    "use_plugins": "flowbench.plugins",
    "write_flow": "flowbench.io",
}


def __getattr__(name: str) -> Any:
    # Each is imported when it is asked for: a model needs Hydra and Lightning, which take seconds, a flow file OpenCV.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name == "__version__":
        return metadata.version("optical-flowbench")
    raise AttributeError(f"module 'flowbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, "__version__"})
