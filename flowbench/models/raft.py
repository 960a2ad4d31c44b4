"""RAFT, RAFT small and RAFT-H."""

from __future__ import annotations

from torch import Tensor

from flowbench.checkpoints.official import from_princeton_raft
from flowbench.models.base import FlowModel
from flowbench.structures import Protocol


class RAFTModel(FlowModel):
    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return from_princeton_raft(state)

    def follow(self, protocol: Protocol) -> None:
        super().follow(protocol)
        if protocol.updates is not None:
            self.set_iterations(protocol.updates)
