"""Export of a network to a file that other programs run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from flowbench.engine.config.kinds import Count, Size, shown
from flowbench.engine.config.models import load_model
from flowbench.engine.exporting.formats import FORMATS, INPUTS, OUTPUT, Format, quiet_exporters
from flowbench.engine.exporting.support_table import EXPORTABLE, Exportable
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import written_aside
from flowbench.io.names import inside
from flowbench.io.records import write_json
from flowbench.models.base import FlowModel
from flowbench.networks.refinement import RefinementNetwork
from flowbench.report.table import print_table, rows_table

Row = dict[str, Any]
TOLERANCE = 1e-3  # px
SMALLEST, LARGEST = 64, 8192  # px a side
_MOST_PAIRS = 64


@dataclass(frozen=True)
class ExportResult:
    """file: the network. description: beside it, what it takes and gives, as JSON. differences: a row a compared size."""

    file: Path
    description: Path
    differences: list[Row]


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """What `export` takes; conf/export.yaml has the same names and defaults."""

    ckpt: str | Path | None = None
    """The checkpoint, ours or official; it has to be given."""
    model: DictConfig | None = None
    """Of an official checkpoint, its model; of one of ours, changes of what it remembers."""
    format: Literal["onnx", "torch_export"] = "onnx"
    """Of the file; torch_export is a .pt2."""
    size: Size = (384, 512)
    """Height and width, pixels: the file's own where dynamic is False, else only an example."""
    dynamic: bool = True
    """Any batch, height and width that the network takes; False: one pair of `size`."""
    iterations: Count | None = None
    """Updates; the model's own eval_iterations if None."""

    def check(self) -> None:
        if not self.ckpt:
            raise FlowBenchError("No checkpoint was given, and fresh weights estimate noise: add ckpt=<file>.")


def export(settings: ExportSettings, run: Run) -> ExportResult:
    """Writes the network of ckpt=<ours or official> as <run folder>/<model>.<onnx or pt2>, compares the file with PyTorch,
    and describes it in <model>.json.

    Raises FlowBenchError for whatever the user can mend, for a network that cannot be exported, and for a file whose flow
    differs by more than TOLERANCE; the file is then not left behind.
    """
    form = FORMATS[settings.format]
    form.check_installed()
    model, _ = load_model(str(settings.ckpt), settings.model)
    if settings.iterations is not None:
        model.set_iterations(settings.iterations)
    check_exportable(model, settings.format, settings.dynamic)
    size = _checked_size(settings.size, model.network.stride, settings.dynamic)
    file = inside(run.folder, f"{model.name}{form.suffix}")
    rows = export_model(model, form, file, size, dynamic=settings.dynamic)
    description = file.with_suffix(".json")
    write_json(description, {**_description(settings, model, form, file, size), "differences": rows})
    result = ExportResult(file, description, rows)
    _tell(result, form, dynamic=settings.dynamic)
    return result


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
        pictures = _pair(batch, height, width)
        expected = network(*pictures)
        difference = (run(*pictures) - expected).abs().max().item()
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
    """Smooth random pictures (B, 3, H, W) in [0, 1], the second moved by `motion` pixels down and right."""
    down, right = motion
    coarse = torch.rand(batch, 3, height // 8 + 2, width // 8 + 2, generator=torch.Generator().manual_seed(0))
    scene = F.interpolate(coarse, size=(height + down, width + right), mode="bilinear", align_corners=True)
    return scene[..., down:, right:].contiguous(), scene[..., :height, :width].contiguous()


def _checked_size(size: tuple[int, int], stride: int, dynamic: bool) -> tuple[int, int]:
    # An example of one stride would be taken for a property of the network.
    smallest = max(SMALLEST, 2 * stride) if dynamic else SMALLEST
    if any(side % stride or side < smallest for side in size):
        raise FlowBenchError(
            f"size={shown(size)}: give height and width as multiples of {stride}, at least {smallest} each."
        )
    return size[0], size[1]


def _description(
    settings: ExportSettings, model: FlowModel, form: Format, file: Path, size: tuple[int, int]
) -> dict[str, Any]:
    batch, height, width = ("B", "H", "W") if settings.dynamic else (1, *size)
    picture = {"shape": [batch, 3, height, width], "type": "float32", "content": "RGB in [0, 1]"}
    return {
        "file": file.name,
        "format": settings.format,
        **({"opset": form.opset} if settings.format == "onnx" else {}),
        "model": model.name,
        "checkpoint": str(settings.ckpt),
        "iterations": model.iterations,
        "inputs": dict.fromkeys(INPUTS, picture),
        "outputs": {
            OUTPUT: {
                "shape": [batch, 2, height, width],
                "type": "float32",
                "content": "pixels (right, down) from image1 to image2",
            }
        },
        "multiple": model.network.stride,
        "smallest side": form.smallest,
        "fitting": str(model.padder),
        "torch": torch.__version__,
    }


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def _tell(result: ExportResult, form: Format, *, dynamic: bool) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_table(rows_table(result.differences, f"{form.runtime} against PyTorch"), console)
    if not dynamic:
        console.print("dynamic=false: the file takes one pair of this size only.")
    console.print(f"network: {result.file}")
    console.print(f"what it takes and gives: {result.description}")
