"""The model class of FastFlowNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from flowbench.checkpoints.official import from_fastflownet, is_fastflownet
from flowbench.models.base import FlowModel


class FastFlowNetModel(FlowModel):
    weights_depend_on = ("unit_features", "flow_unit")

    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return from_fastflownet(state)

    @classmethod
    def official_changes(cls, config: Mapping[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
        """The published weights were trained without unit-length features."""
        return {"network": {"unit_features": False}} if is_fastflownet(state) else {}
