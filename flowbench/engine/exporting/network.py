"""Export of a network, and the comparison of the file with PyTorch."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from flowbench.engine.exporting.formats import Format, quiet_exporters
from flowbench.engine.exporting.support_table import EXPORTABLE, Exportable
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.records import Row
from flowbench.models.base import FlowModel
from flowbench.networks.refinement import RefinementNetwork

TOLERANCE = 1e-3  # px
SMALLEST, LARGEST = 64, 8192  # px a side
_MOST_PAIRS = 64


def export_model(model: FlowModel, form: Format, file: Path, size: tuple[int, int], *, dynamic: bool) -> list[Row]:
    """Writes the file and gives its differences from PyTorch, a row a size.

    model: in eval mode, on the CPU. size: height and width, px, multiples of the network's stride. Raises FlowBenchError
    where the network cannot be exported or the file is off.
    """
    network = _FlowAlone(model.network).eval()
    with torch.no_grad(), quiet_exporters(), written_aside(file) as aside:
        try:
            form.write(_traced(network, model.network.stride, size, dynamic=dynamic), aside)
        except RuntimeError as error:
            raise FlowBenchError(
                f"PyTorch could not export {model.name} ({_first_line(error)}): debug=true shows more."
            ) from error
        return _compared(network, form, aside, _compared_sizes(size, form) if dynamic else [(1, *size)])


def check_exportable(model: FlowModel, format_name: str, dynamic: bool) -> None:
    """Raises FlowBenchError for what EXPORTABLE says no to. A model that it does not name may be tried."""
    row = EXPORTABLE.get(model.name, Exportable())
    if format_name not in row.formats:
        raise FlowBenchError(
            f"{model.name} cannot be exported to {format_name}: {row.reason}. docs/export.md lists the models that can."
        )
    if dynamic and not row.dynamic:
        raise FlowBenchError(f"{model.name} can be exported for one size only: {row.reason}; set dynamic=false.")
    if isinstance(model.network, RefinementNetwork) and model.network.correlation == "on_demand":
        raise FlowBenchError(
            "A network with correlation=on_demand cannot be exported, but all_pairs gives the same flow with the same "
            "weights: add +model.network.correlation=all_pairs."
        )


class _FlowAlone(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image1: Tensor, image2: Tensor) -> Tensor:
        return self.network(image1, image2).flow


def _traced(network: nn.Module, stride: int, size: tuple[int, int], *, dynamic: bool) -> ExportedProgram:
    if not dynamic:
        return torch.export.export(network, _pair(1, *size))
    smallest, largest = max(1, SMALLEST // stride), LARGEST // stride
    height, width = (Dim(name, min=smallest, max=largest) for name in ("height", "width"))
    axes = {0: Dim("batch", min=1, max=_MOST_PAIRS), 2: stride * height, 3: stride * width}
    # Two pairs, because a single one would be taken for a property of the network.
    return torch.export.export(network, _pair(2, *size), dynamic_shapes=(axes, axes))


def _compared_sizes(size: tuple[int, int], form: Format) -> list[tuple[int, int, int]]:
    """Batch, height and width: the smallest, and two others than the traced one, for networks of any stride."""
    height, width = size
    return [(1, form.smallest, form.smallest), (2, height, width + 128), (1, height + 128, width + 64)]


def _compared(network: nn.Module, form: Format, file: Path, sizes: list[tuple[int, int, int]]) -> list[Row]:
    run, rows = form.load(file), []
    for batch, height, width in sizes:
        images = _pair(batch, height, width)
        expected = network(*images)
        difference = (run(*images) - expected).abs().max().item()
        # The other way round, a difference that is not a number would pass.
        if not difference <= TOLERANCE:
            raise FlowBenchError(
                f"The exported file differs from PyTorch by {difference:.2g} px on {batch} x {height}x{width}, more than "
                f"{TOLERANCE:g} px, so it was removed: try another format, or dynamic=false."
            )
        rows.append(
            {
                "batch": batch,
                "size": f"{height}x{width}",
                "largest difference (px)": difference,
                "mean |flow| (px)": expected.norm(dim=1).mean().item(),
            }
        )
    return rows


def _pair(batch: int, height: int, width: int, motion: tuple[int, int] = (2, 3)) -> tuple[Tensor, Tensor]:
    """Smooth random images (B, 3, H, W) in [0, 1], the second moved by `motion` pixels down and right."""
    down, right = motion
    coarse = torch.rand(batch, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    scene = F.interpolate(coarse, size=(height + down, width + right), mode="bilinear", align_corners=True)
    return scene[..., down:, right:].contiguous(), scene[..., :height, :width].contiguous()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
