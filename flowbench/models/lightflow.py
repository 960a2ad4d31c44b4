"""The model class of LightFlow in all its widths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from flowbench.checkpoints.official import from_lightflow, lightflow_width
from flowbench.models.base import FlowModel

NAMES = {1.0: "lightflow", 0.75: "lightflow_075", 0.5: "lightflow_05"}


class LightFlowModel(FlowModel):
    weights_depend_on = ("width", "predictor_activation", "flow_unit")

    @staticmethod
    def from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return from_lightflow(state)

    @classmethod
    def official_changes(cls, config: Mapping[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
        """The public code activates its predictions, for batches of 128; how wide the network is, the shapes tell."""
        width = lightflow_width(state)
        if width is None:
            return {}
        network = {"width": width, "predictor_activation": True, "batch_norm_momentum": 0.1}
        return {"name": NAMES.get(width, config["name"]), "network": network}
