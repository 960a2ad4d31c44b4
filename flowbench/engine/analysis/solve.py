"""The dense solve of a pair, with the convergence of each part of the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flowbench.deq import Damped, SolverStats, StopReason
from flowbench.deq.convergence import Convergence, solve_traced
from flowbench.deq.normalisation import weights_computed_once
from flowbench.engine.analysis.figures import part_figures
from flowbench.errors import FlowBenchError
from flowbench.io import Frame
from flowbench.models.base import FlowModel
from flowbench.models.images import image_batch
from flowbench.networks.deqflow import DEQFlow
from flowbench.report.convergence_page import PartFigures

PARTS = ("hidden state", "coordinates")


@dataclass(frozen=True)
class TracedSolve:
    parts: list[tuple[PartFigures, Convergence]]
    flow: Tensor


def padded(model: FlowModel, frame: Frame) -> Tensor:
    """The frame as the network takes it, (1, 3, H, W) in [0, 1]."""
    return model.padder.pad(image_batch(frame.image, device=model.device, dtype=torch.float32))


def unpadded(model: FlowModel, frame: Frame, flow: Tensor) -> Tensor:
    """A map of the padded image, at the size of the frame."""
    return model.padder.unpad(flow, *frame.image.shape[:2])


def solve_densely(
    network: DEQFlow, solver: Damped, images: tuple[Tensor, Tensor], tolerances: list[float], restore: Any
) -> TracedSolve:
    with weights_computed_once(network.update_block):
        refine, start = network.problem(*images)
        solution, parts = solve_traced(solver, refine, start, tolerances)
    refuse_divergence(solution.stats, "lower damping, or analyse a checkpoint of more training")

    def to_image(steps: Tensor) -> Tensor:
        stride = network.stride
        return restore(steps.repeat_interleave(stride, dim=2).repeat_interleave(stride, dim=3))

    figure_parts = [part_figures(name, part, to_image) for name, part in zip(PARTS, parts, strict=True)]
    return TracedSolve(list(zip(figure_parts, parts, strict=True)), network.decode(solution.z, refine.grid))


def refuse_divergence(stats: SolverStats, remedy: str, rule: str = "") -> None:
    if stats.reason[0] == StopReason.DIVERGED:
        raise FlowBenchError(f"The solve{rule} diverged at step {stats.steps[0].item()}: {remedy}.")
