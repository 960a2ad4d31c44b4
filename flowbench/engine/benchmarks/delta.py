"""Benchmark of the delta rule on a pair of real images: seconds, multiplications, and the change of the flow."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from flowbench.engine.benchmarks.measure import count_macs, time_calls
from flowbench.engine.benchmarks.settings import BenchmarkSettings
from flowbench.engine.config.kinds import several
from flowbench.engine.config.models import load_model
from flowbench.engine.run.devices import chosen_device, mixed_precision
from flowbench.errors import FlowBenchError
from flowbench.io.image import read_image
from flowbench.models.deltadeq import DeltaDEQModel
from flowbench.ops.delta.convolution import Delta
from flowbench.structures import FlowOutput

# A tolerance that no solve reaches.
_NEVER = 1e-12


@dataclass
class _Way:
    """A way of solving. delta: None for the dense one."""

    name: str
    delta: Delta | None
    seconds: list[float] = field(default_factory=list)
    outputs: list[FlowOutput] = field(default_factory=list)

    @property
    def output(self) -> FlowOutput:
        """Of the last round."""
        return self.outputs[0]


def delta_rows(settings: BenchmarkSettings) -> list[dict[str, Any]]:
    """The dense solve, and each threshold by each rule, of ckpt= on settings.pair.

    Every way comes once a round, one after the other, so that all see the same machine. All take settings.iterations
    steps, or as many as the model says, and none stops before: what is compared is the cost of a step.
    """
    model, _ = load_model(str(settings.ckpt), settings.model)
    if not isinstance(model, DeltaDEQModel):
        raise FlowBenchError(f"{model.name} has no delta rule: choose a model=deltadeq_...")
    if model.network.delta is None:
        raise FlowBenchError(
            "model.network.delta=null switches the rule off, and there is nothing to compare: leave it out."
        )
    if settings.iterations is not None:
        model.set_iterations(settings.iterations)
    deq = model.network.deq
    model.network.deq = replace(deq, solver=replace(deq.solver, tolerance=_NEVER))
    model.to(chosen_device(settings.device))
    rows = []
    for precision in several(settings.precision):
        rows += _rows(settings, model, model.network.delta, precision)
    return rows


def _rows(settings: BenchmarkSettings, model: DeltaDEQModel, delta: Delta, precision: str) -> list[dict[str, Any]]:
    image1, image2 = (read_image(path) for path in settings.pair)
    thresholds = sorted(float(value) for value in several(settings.thresholds))
    ways = [_Way("dense", None)]
    for rule in settings.rules:
        ways += [_Way(rule, replace(delta, rule=rule, threshold=value)) for value in thresholds]
    model.network.delta = None
    network = count_macs(lambda: model.estimate(image1, image2)) / 1e9
    for _ in range(settings.repeats + 1):
        for way in ways:
            model.network.delta = way.delta
            _solve(way, lambda: model.estimate(image1, image2), model.device, precision)
    model.network.delta = delta
    height, width = image1.shape[:2]
    about = {"model": model.name, "precision": precision, "size": f"{height}x{width}", "steps": model.iterations}
    return [about | _row(way, ways[0], network) for way in ways]


def _solve(way: _Way, estimate: Callable[[], FlowOutput], device: torch.device, precision: str) -> None:
    def call() -> None:
        with mixed_precision(device, precision):
            way.outputs[:] = [estimate()]

    way.seconds.append(time_calls(call, device, warm_up=0, repeats=1).median)


def _row(way: _Way, dense: _Way, network: float) -> dict[str, Any]:
    # The first round is the warm-up.
    seconds = statistics.median(way.seconds[1:])
    row = {
        "rule": way.name,
        "threshold": None if way.delta is None else way.delta.threshold,
        "median (s)": seconds,
        "dense / this": statistics.median(dense.seconds[1:]) / seconds,
        "steps taken": way.output.stats["steps"].float().mean().item(),
    }
    if way.delta is None:
        return row | {"network GMAC": network}
    apart = (way.output.flow - dense.output.flow).float().square().sum(dim=1).sqrt()
    stats = {name: way.output.stats[name].mean().item() for name in ("propagated", "propagated_gmacs", "dense_gmacs")}
    return row | {
        "mean difference to dense (px)": apart.mean().item(),
        "largest (px)": apart.max().item(),
        "propagated (%)": 100 * stats["propagated"],
        "propagated GMAC": stats["propagated_gmacs"],
        "of GMAC": stats["dense_gmacs"],
        "network GMAC": network - stats["dense_gmacs"] + stats["propagated_gmacs"],
    }
