"""The model class of DeltaDEQ, which takes the checkpoints of DEQ-Flow as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

from flowbench.errors import FlowBenchError
from flowbench.models.deqflow import DEQFlowModel, DEQFlowParts
from flowbench.networks.deltadeq import DeltaDEQ


class DeltaDEQModel(DEQFlowModel):
    """A DeltaDEQ whose threshold can be set."""

    network: DeltaDEQ

    def __init__(self, *, network: DeltaDEQ, **parts: Unpack[DEQFlowParts]) -> None:
        super().__init__(network=network, **parts)
        self._rule = network.delta

    def set_threshold(self, threshold: float | None) -> None:
        """Sets the change up to which the delta rule does not propagate a value; None switches the rule off."""
        if threshold is None:
            self.network.delta = None
            return
        if self._rule is None:
            raise FlowBenchError(
                f"The network has no delta rule (delta=null) whose threshold could be set to {threshold}."
            )
        self.network.delta = replace(self._rule, threshold=threshold)

    def estimate_settings(self) -> dict[str, Any]:
        network = self.network
        return {**super().estimate_settings(), "delta": str(network.delta), "across_frames": network.across_frames}
