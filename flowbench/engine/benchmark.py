"""Costs of a model, of the lookup or of the data on this machine."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console

from flowbench.engine.benchmarks.data import data_rows
from flowbench.engine.benchmarks.delta import delta_rows
from flowbench.engine.benchmarks.measure import count_macs, matmul_rate, peak_memory, saved_for_backward, time_calls
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.kinds import several
from flowbench.engine.config.models import build_model
from flowbench.engine.run import Run
from flowbench.engine.run.devices import chosen_device, dtype_of, mixed_precision
from flowbench.errors import FlowBenchError
from flowbench.io.records import write_csv, write_json
from flowbench.models.base import FlowModel
from flowbench.networks.base import IterativeNetwork
from flowbench.networks.fastflownet import DISPLACEMENTS
from flowbench.ops.correlation import build_correlation
from flowbench.ops.local_correlation import local_correlation, square_displacements
from flowbench.ops.sampling import coordinate_grid, sample_bilinear
from flowbench.report.table import columns_table, print_table
from flowbench.structures import FlowBatch

Row = dict[str, Any]
# What gives the call that is measured: model, batch, device, precision.
_Mode = Callable[[FlowModel, FlowBatch, torch.device, str], Callable[[], Any]]


def benchmark(settings: BenchmarkSettings, run: Run) -> list[Row]:
    """Measures settings.subject and writes benchmark.csv and benchmark.json into the run's folder."""
    subjects = {
        "model": model_rows,
        "train": train_rows,
        "lookup": lookup_rows,
        "local": local_rows,
        "data": data_rows,
        "delta": delta_rows,
    }
    torch.manual_seed(0)
    rows = subjects[settings.subject](settings)
    write_csv(run.folder / "benchmark.csv", rows)
    write_json(run.folder / "benchmark.json", rows)
    console = Console()
    print_table(columns_table(rows, f"{settings.subject}, {_machine(settings)}"), console)
    console.print(f"figures: {run.folder / 'benchmark.csv'}", highlight=False, soft_wrap=True)
    return rows


def _machine(settings: BenchmarkSettings) -> str:
    device = chosen_device(settings.device)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def model_rows(settings: BenchmarkSettings) -> list[Row]:
    """One row a precision and mode: the forward pass, and with training=true a training step."""
    model = build_model(settings.model)
    if settings.iterations is not None:
        model.set_iterations(settings.iterations)
    if settings.iterations is not None and isinstance(model.network, IterativeNetwork):
        model.network.iterations = settings.iterations
    device = chosen_device(settings.device)
    model.to(device)
    modes = [_forward, _training_step] if settings.training else [_forward]
    return [
        _model_row(settings, model, device, precision, mode)
        for precision, mode in itertools.product(several(settings.precision), modes)
    ]


def train_rows(settings: BenchmarkSettings) -> list[Row]:
    """A training step of each of settings.variants on one crop and batch, and how many times the first one's each costs."""
    device = chosen_device(settings.device)
    precision, *others = several(settings.precision)
    if others:
        raise FlowBenchError("train compares variants at one precision: give one, for instance precision=bf16-mixed.")
    rows: list[Row] = []
    for name, variant in settings.variants.items():
        model = build_model(model_config(variant.model, variant.changes)).to(device)
        row = {"variant": name, **_model_row(settings, model, device, precision, _training_step)}
        for figure in ("saved by autograd (MiB)", "memory (MiB)", "median (ms)"):
            if row[figure]:
                first = rows[0][figure] if rows else row[figure]
                row[f"{figure.partition(' (')[0]} / first"] = row[figure] / first
        rows.append(row)
    return rows


def _model_row(settings: BenchmarkSettings, model: FlowModel, device: torch.device, precision: str, mode: _Mode) -> Row:
    height, width = settings.size
    batch = _random_batch(settings.batch_size, height, width, device)
    call = mode(model, batch, device, precision)
    gc.collect()
    memory = peak_memory(call, device)
    macs = count_macs(call)
    rate_before = matmul_rate(device, dtype_of(precision))
    times = time_calls(call, device, warm_up=settings.warm_up, repeats=settings.repeats)
    rate = (rate_before + matmul_rate(device, dtype_of(precision))) / 2
    row = {
        "model": model.name,
        "mode": mode.__name__.strip("_"),
        "precision": precision,
        "size": f"{height}x{width}",
        "batch": settings.batch_size,
        "iterations": model.iterations if mode is _forward else getattr(model.network, "iterations", None),
        "parameters (M)": sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        "GMAC": macs / 1e9,
        "median (ms)": 1e3 * times.median,
        "p90 (ms)": 1e3 * times.p90,
        "memory (MiB)": None if memory is None else memory / 2**20,
        "GFLOP/s": 2e-9 * macs / times.median,
        "matmul GFLOP/s": rate / 1e9,
        "share of matmul (%)": 200 * macs / times.median / rate,
    }
    if mode is _training_step:
        row["saved by autograd (MiB)"] = _saved(model, batch, device, precision) / 2**20
    return row


def _random_batch(batch: int, height: int, width: int, device: torch.device) -> FlowBatch:
    images = torch.rand(2, batch, 3, height, width, device=device)
    flow = 4 * torch.randn(batch, 2, height, width, device=device)
    valid = torch.ones(batch, height, width, dtype=torch.bool, device=device)
    return FlowBatch(images[0], images[1], flow, valid, key=[""] * batch)


def _forward(model: FlowModel, batch: FlowBatch, device: torch.device, precision: str) -> Callable[[], Any]:
    def call() -> Any:
        with mixed_precision(device, precision):
            return model.estimate_batch(batch.image1, batch.image2)

    return call


def _loss(model: FlowModel, batch: FlowBatch, device: torch.device, precision: str) -> torch.Tensor:
    model.train()
    with mixed_precision(device, precision):
        return model.objective(model.network(batch.image1, batch.image2), batch)


def _training_step(model: FlowModel, batch: FlowBatch, device: torch.device, precision: str) -> Callable[[], Any]:
    def call() -> None:
        model.zero_grad()
        _loss(model, batch, device, precision).backward()

    return call


def _saved(model: FlowModel, batch: FlowBatch, device: torch.device, precision: str) -> int:
    return saved_for_backward(lambda: _loss(model, batch, device, precision), list(model.parameters()))


def lookup_rows(settings: BenchmarkSettings) -> list[Row]:
    """The correlation look-up of RAFT, gathered once and blended, against a bilinear sample for every entry."""
    device = chosen_device(settings.device)
    height, width = (side // 8 for side in settings.size)
    features = torch.randn(2, settings.batch_size, 256, height, width, device=device)
    coords = coordinate_grid(settings.batch_size, height, width, like=features)
    coords = coords + 4 * torch.randn_like(coords)
    lookups: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        kind: build_correlation(features[0], features[1], kind=kind).lookup for kind in ("all_pairs", "on_demand")
    }
    lookups["grid_sample"] = _grid_sample_lookup(features[0], features[1])
    reference = lookups["grid_sample"](coords)
    rows = []
    for name, lookup in lookups.items():
        times = time_calls(partial(lookup, coords), device, warm_up=settings.warm_up, repeats=settings.repeats)
        difference = (lookup(coords) - reference).abs().max() / reference.abs().max()
        rows.append(
            {
                "look-up": name,
                "size": f"{settings.size[0]}x{settings.size[1]}",
                "median (ms)": 1e3 * times.median,
                "p90 (ms)": 1e3 * times.p90,
                "largest relative difference": difference.item(),
            }
        )
    return rows


def _grid_sample_lookup(features1: torch.Tensor, features2: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The plain look-up: a pyramid of volumes, 81 bilinear samples a pixel and level."""
    batch, channels, height, width = features1.shape
    volume = features1.flatten(2).transpose(1, 2) @ features2.flatten(2) / channels**0.5
    pyramid = [volume.view(batch * height * width, 1, height, width)]
    for _ in range(3):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    offsets = torch.arange(-4, 5, device=features1.device, dtype=features1.dtype)
    window = torch.stack(torch.meshgrid(offsets, offsets, indexing="ij"))

    def lookup(coords: torch.Tensor) -> torch.Tensor:
        centres = coords.permute(0, 2, 3, 1).reshape(-1, 2, 1, 1)
        sampled = [sample_bilinear(level, centres / 2**number + window) for number, level in enumerate(pyramid)]
        return torch.stack(sampled, dim=1).view(batch, height, width, -1).permute(0, 3, 1, 2)

    return lookup


def local_rows(settings: BenchmarkSettings) -> list[Row]:
    """FastFlowNet's local correlation at 1/4 resolution: its 53 displacements alone, against all 81 and a selection."""
    device = chosen_device(settings.device)
    height, width = (side // 4 for side in settings.size)
    features = torch.randn(2, settings.batch_size, 32, height, width, device=device, requires_grad=True)
    variants = {
        "53": lambda: local_correlation(features[0], features[1], DISPLACEMENTS),
        "81, then 53 of them": lambda: _straightforward_correlation(features[0], features[1]),
    }
    reference = variants["81, then 53 of them"]().detach()
    rows = []
    for name, correlate in variants.items():
        row = {
            "displacements": name,
            "size": f"{height}x{width}",
            "largest difference": (correlate() - reference).abs().max().item(),
        }
        calls: dict[str, Callable[[], object]] = {
            "forward": torch.no_grad()(correlate),
            "and backward": partial(_and_backward, correlate),
        }
        for mode, call in calls.items():
            times = time_calls(call, device, warm_up=settings.warm_up, repeats=settings.repeats)
            row[f"{mode}, median (ms)"] = 1e3 * times.median
        rows.append(row)
    return rows


def _and_backward(correlate: Callable[[], torch.Tensor]) -> None:
    correlate().sum().backward()


def _straightforward_correlation(features1: torch.Tensor, features2: torch.Tensor) -> torch.Tensor:
    """All 81 products of the window in ordinary operations, and FastFlowNet's 53 of them."""
    height, width = features1.shape[-2:]
    padded, displacements = F.pad(features2, [4] * 4), square_displacements(4)
    shifted = [padded[:, :, 4 + dy : 4 + dy + height, 4 + dx : 4 + dx + width] for dy, dx in displacements]
    correlation = torch.stack([(features1 * view).mean(dim=1) for view in shifted], dim=1)
    return correlation[:, [displacements.index(step) for step in DISPLACEMENTS]]
