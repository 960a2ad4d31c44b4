"""Models with the weights of the reference figures, and the batch that their training figures were computed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import flowbench
from flowbench.models.base import FlowModel
from flowbench.structures import FlowBatch, FlowOutput
from support import golden


def official_model(name: str, weights: str, folder: Path, overrides: Sequence[str] = ()) -> FlowModel:
    """The model as a user would load it: an official checkpoint file through the project's own reader."""
    path = folder / "official.pth"
    torch.save(golden.official_state(weights), path)
    return flowbench.load(name, path, overrides)


def estimate(model: FlowModel, pair: str, dtype: torch.dtype, folder: Path = golden.GOLDEN) -> FlowOutput:
    return model.to(dtype).estimate(*(golden.image(f"{pair}_{number}", dtype, folder) for number in (1, 2)))


def assert_full_resolution(flow: Tensor, files: dict[str, str], tolerance: float, folder: Path = golden.GOLDEN) -> None:
    """Against the published flow, all of it or every third pixel."""
    if "flow_up" in files:
        difference = flow - golden.array(files["flow_up"], folder)
    else:
        difference = flow[..., ::3, ::3] - golden.array(files["flow_up_s3"], folder)
    assert difference.abs().max() < tolerance


def freeze_batch_norm(model: FlowModel) -> None:
    for module in model.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def training_batch(dtype: torch.dtype, pair: str = "A") -> FlowBatch:
    height, width = 128, 192
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    turn = 2 * torch.pi
    u = 6 * torch.sin(turn * x / width) * torch.cos(turn * y / height) + 1.5
    v = 4 * torch.cos(turn * (x / width + y / height)) - 0.75
    return FlowBatch(
        image1=golden.image(f"{pair}_1", dtype),
        image2=golden.image(f"{pair}_2", dtype),
        flow=torch.stack([u, v])[None].to(dtype),
        valid=torch.ones(1, height, width, dtype=torch.bool),
        key=[pair],
    )


def assert_gradient_norms(model: FlowModel, case: dict[str, Any], precision: str, names: dict[str, str]) -> None:
    """names: parts of our parameter names -> of theirs. Every published norm but the skipped ones is compared."""
    tolerance, expected = case["tolerance"], case[precision]
    norms = expected.get("grad_norms") or {
        name: None if figures is None else figures[0] for name, figures in expected["grads"].items()
    }
    compared = set()
    for name, parameter in model.network.named_parameters():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        name = name if name in norms else name.replace("downsample.1.", "norm3.")
        if name in tolerance["skipped"]:
            continue
        if norms[name] is None:
            assert parameter.grad is None, name
        else:
            norm = parameter.grad.norm().item()
            assert norm == pytest.approx(norms[name], rel=tolerance[f"grad_norm_rel_{precision}"]), name
        compared.add(name)
    assert compared == set(norms) - set(tolerance["skipped"])
