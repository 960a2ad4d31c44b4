"""DeltaDEQ, which takes the checkpoints of DEQ-Flow as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flowbench.errors import FlowBenchError
from flowbench.models.deqflow import DEQFlowModel


class DeltaDEQModel(DEQFlowModel):
    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._rule = self.network.delta

    def set_threshold(self, threshold: float | None) -> None:
        if threshold is not None and self._rule is None:
            raise FlowBenchError(
                f"model.network.delta=null switches the rule off: leave out the threshold of {threshold}."
            )
        self.network.delta = None if threshold is None else replace(self._rule, threshold=threshold)

    def estimate_settings(self) -> dict[str, Any]:
        network = self.network
        return {**super().estimate_settings(), "delta": str(network.delta), "across_frames": network.across_frames}
