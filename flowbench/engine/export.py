"""Export of a network to a file that other programs run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import DictConfig
from rich.console import Console

from flowbench.engine.config.kinds import Count, Size, shown
from flowbench.engine.config.models import load_model
from flowbench.engine.exporting.formats import FORMATS, INPUTS, OUTPUT, Format
from flowbench.engine.exporting.network import SMALLEST, check_exportable, export_model
from flowbench.engine.run import Run
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.io.names import inside
from flowbench.io.records import Row, write_json
from flowbench.models.base import FlowModel
from flowbench.report.table import print_table, rows_table


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
    """The checkpoint, ours or official, or the name of weights; it has to be given."""
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
    differs by more than 0.001 px; the file is then not left behind.
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
    _print(result, form, dynamic=settings.dynamic)
    return result


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
    image = {"shape": [batch, 3, height, width], "type": "float32", "content": "RGB in [0, 1]"}
    return {
        "file": file.name,
        "format": settings.format,
        **({"opset": form.opset} if settings.format == "onnx" else {}),
        "model": model.name,
        "checkpoint": str(settings.ckpt),
        "iterations": model.iterations,
        "inputs": dict.fromkeys(INPUTS, image),
        "outputs": {
            OUTPUT: {
                "shape": [batch, 2, height, width],
                "type": "float32",
                "content": "pixels (right, down) from image1 to image2",
            }
        },
        "multiple": model.network.stride,
        "smallest side": form.smallest,
        "padder": str(model.padder),
        "torch": torch.__version__,
    }


def _print(result: ExportResult, form: Format, *, dynamic: bool) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_table(rows_table(result.differences, f"{form.runtime} against PyTorch"), console)
    if not dynamic:
        console.print("dynamic=false: the file takes one pair of this size only.")
    console.print(f"network: {result.file}")
    console.print(f"inputs and outputs: {result.description}")
