"""Benchmarks of a network: its forward pass, and its training step."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from flowbench.engine.benchmarks.measure import count_macs, matmul_rate, peak_memory, saved_for_backward, time_calls
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.config.groups import model_config
from flowbench.engine.config.kinds import several
from flowbench.engine.config.models import build_model
from flowbench.engine.run.devices import chosen_device, dtype_of, mixed_precision
from flowbench.errors import FlowBenchError
from flowbench.io.records import Row
from flowbench.models.base import FlowModel
from flowbench.networks.base import IterativeNetwork
from flowbench.structures import FlowBatch


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
        return model.objective(model.network(batch.image1, batch.image2), batch).total


def _training_step(model: FlowModel, batch: FlowBatch, device: torch.device, precision: str) -> Callable[[], Any]:
    def call() -> None:
        model.zero_grad()
        _loss(model, batch, device, precision).backward()

    return call


def _saved(model: FlowModel, batch: FlowBatch, device: torch.device, precision: str) -> int:
    return saved_for_backward(lambda: _loss(model, batch, device, precision), list(model.parameters()))


@dataclass(frozen=True)
class Mode:
    """What is measured of a model. call: makes the call of model, batch, device and precision."""

    name: str
    call: Callable[[FlowModel, FlowBatch, torch.device, str], Callable[[], Any]]
    iterations: Callable[[FlowModel], int | None]


def _iterations_of_training(model: FlowModel) -> int | None:
    return model.network.iterations if isinstance(model.network, IterativeNetwork) else None


FORWARD = Mode("forward", _forward, lambda model: model.iterations)
TRAINING_STEP = Mode("training_step", _training_step, _iterations_of_training)


def model_rows(settings: BenchmarkSettings) -> list[Row]:
    """One row a precision and mode: the forward pass, and with training=true a training step."""
    model = build_model(settings.model)
    if settings.iterations is not None:
        model.set_iterations(settings.iterations)
        if isinstance(model.network, IterativeNetwork):
            model.network.iterations = settings.iterations
    device = chosen_device(settings.device)
    model.to(device)
    modes = [FORWARD, TRAINING_STEP] if settings.training else [FORWARD]
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
        row = {"variant": name, **_model_row(settings, model, device, precision, TRAINING_STEP)}
        for column in ("saved by autograd (MiB)", "memory (MiB)", "median (ms)"):
            if row[column]:
                first = rows[0][column] if rows else row[column]
                row[f"{column.partition(' (')[0]} / first"] = row[column] / first
        rows.append(row)
    return rows


def _model_row(settings: BenchmarkSettings, model: FlowModel, device: torch.device, precision: str, mode: Mode) -> Row:
    height, width = settings.size
    batch = _random_batch(settings.batch_size, height, width, device)
    call = mode.call(model, batch, device, precision)
    gc.collect()
    memory = peak_memory(call, device)
    macs = count_macs(call)
    rate_before = matmul_rate(device, dtype_of(precision))
    times = time_calls(call, device, warm_up=settings.warm_up, repeats=settings.repeats)
    rate = (rate_before + matmul_rate(device, dtype_of(precision))) / 2
    row = {
        "model": model.name,
        "mode": mode.name,
        "precision": precision,
        "size": f"{height}x{width}",
        "batch": settings.batch_size,
        "iterations": mode.iterations(model),
        "parameters (M)": sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        "GMAC": macs / 1e9,
        "median (ms)": 1e3 * times.median,
        "p90 (ms)": 1e3 * times.p90,
        "memory (MiB)": None if memory is None else memory / 2**20,
        "GFLOP/s": 2e-9 * macs / times.median,
        "matmul GFLOP/s": rate / 1e9,
        "share of matmul (%)": 200 * macs / times.median / rate,
    }
    if mode is TRAINING_STEP:
        row["saved by autograd (MiB)"] = _saved(model, batch, device, precision) / 2**20
    return row
