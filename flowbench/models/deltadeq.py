"""DeltaDEQ, which takes the checkpoints of DEQ-Flow as they are."""

from __future__ import annotations

from typing import Any

from flowbench.models.deqflow import DEQFlowModel


class DeltaDEQModel(DEQFlowModel):
    def estimate_settings(self) -> dict[str, Any]:
        network = self.network
        return {**super().estimate_settings(), "delta": str(network.delta), "across_frames": network.across_frames}
