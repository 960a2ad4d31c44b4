"""The model class of RAFT, RAFT small and RAFT-H."""

from __future__ import annotations

from torch import Tensor

from flowbench.checkpoints.official import from_princeton_raft
from flowbench.models.base import FlowModel


class RAFTModel(FlowModel):
    updates_are_fixed = True

    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return from_princeton_raft(state)
