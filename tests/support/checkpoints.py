"""Checkpoints as a run writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from flowbench.models.base import FlowModel


def save_ours(model: FlowModel, path: Path, **settings: Any) -> Path:
    state = {f"network.{name}": tensor for name, tensor in model.network.state_dict().items()}
    torch.save({"hyper_parameters": model.settings | settings, "state_dict": state}, path)
    return path
