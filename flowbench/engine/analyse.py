"""Per-dimension convergence of a DEQ on one pair, and what the delta rules would leave out of its solve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from flowbench.deq import DEQ, Damped, SolverStats, StopReason
from flowbench.deq.convergence import Convergence, solve_traced
from flowbench.deq.normalisation import weights_computed_once
from flowbench.engine.analysis.figures import (
    channel_rows,
    left_out_rows,
    part_figures,
    rule_figures,
    sparsity_rows,
    step_rows,
    summary_rows,
)
from flowbench.engine.config.kinds import Count, Positives, several
from flowbench.engine.config.models import load_model
from flowbench.engine.run import Run
from flowbench.engine.run.devices import chosen_device
from flowbench.engine.run.settings import Settings
from flowbench.errors import FlowBenchError
from flowbench.io import Frame, open_frames
from flowbench.io.records import write_csv, write_json
from flowbench.models.base import FlowModel
from flowbench.models.images import image_batch
from flowbench.networks.delta_shares import DeltaSolve, delta_solve
from flowbench.networks.deqflow import DEQFlow
from flowbench.ops.delta.convolution import Delta
from flowbench.report.convergence_page import ConvergencePage, PartFigures, write_convergence_page
from flowbench.report.figure_files import check_figures
from flowbench.report.table import columns_table, print_table

PAGE = "analysis.html"
SUMMARY = "analysis.json"
PARTS = ("hidden state", "coordinates")
_NEVER_WITHIN = 1e-30


@dataclass(frozen=True)
class AnalysisResult:
    """page: the HTML file; beside it analysis.json, steps.csv, channels.csv and sparsity.csv. summary, left_out: the rows
    that analysis.json holds: of each part of the state and tolerance, and of each layer."""

    page: Path
    summary: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


@dataclass(frozen=True)
class _Traced:
    parts: list[tuple[PartFigures, Convergence]]
    flow: Tensor


@dataclass(frozen=True, kw_only=True)
class AnalyseSettings(Settings):
    """What `analyse` takes; conf/analyse.yaml has the same names and defaults."""

    ckpt: str | Path | None = None
    """The checkpoint, ours or official; it has to be given."""
    model: DictConfig | None = None
    """Of an official checkpoint, its model; of one of ours, changes of what it remembers."""
    input: str | Path | Sequence[str | Path] = ("assets/sintel/frame_0016.png", "assets/sintel/frame_0017.png")
    """Two images; of more, or of a video, the first two."""
    iterations: Count = 60
    """Steps of the solver; all are taken, wherever the model would stop."""
    damping: float = 0.9
    """z <- (1 - damping) z + damping f(z)."""
    tolerance: Positives = (0.01, 0.001)
    """Of a dimension's change; coordinates are pixels at 1/8 of the resolution."""
    threshold: float = 0.01
    """Of the delta rules."""
    scale: Literal["relative", "absolute"] = "relative"
    """Of the delta rules' threshold."""
    memory: Literal["bounded", "reference"] = "bounded"
    """Of the delta rules."""
    device: str = "auto"
    """auto (cuda where there is one, else cpu), cpu, cuda, cuda:1, ..."""
    figures: Literal["pdf"] | None = None
    """pdf: the charts as files for a paper, too."""

    def check(self) -> None:
        if not self.ckpt:
            raise FlowBenchError("No checkpoint was given, and fresh weights tell nothing: add ckpt=<file>.")
        check_figures(self.figures)


@torch.inference_mode()
def analyse(settings: AnalyseSettings, run: Run) -> AnalysisResult:
    """Solves one pair of images with a DEQ-Flow or DeltaDEQ, ours or official: densely, and under both delta rules.

    Raises FlowBenchError for whatever the user can mend: settings, checkpoint, input, a solve that diverges.
    """
    tolerances, deltas = [float(each) for each in several(settings.tolerance)], _deltas(settings)
    solver = _solver(settings)
    deq = DEQ(solver=solver, eval_steps=settings.iterations)
    model = load_model(str(settings.ckpt), settings.model)[0].to(chosen_device(settings.device))
    if not isinstance(model.network, DEQFlow):
        raise FlowBenchError(f"{model.name} has no equilibrium: give a checkpoint of DEQ-Flow or DeltaDEQ.")
    frames = _pair(settings)
    image1, image2 = (_fitted(model, frame) for frame in frames)
    restore = partial(_restored, model, frames[0])
    traced = _dense(model.network, solver, (image1, image2), tolerances, restore)
    solves = {rule: delta_solve(model.network, deq, delta, image1, image2) for rule, delta in deltas.items()}
    for rule, solve in solves.items():
        _refuse_divergence(solve.stats, "lower threshold", rule=f" under the {rule} rule")
    result = _write(settings, run.folder, model, frames, traced, solves, restore)
    _tell(result)
    return result


def _deltas(settings: AnalyseSettings) -> dict[str, Delta]:
    delta = Delta(rule="element", threshold=settings.threshold, scale=settings.scale, memory=settings.memory)
    return {"element": delta, "pixel": replace(delta, rule="pixel")}


def _solver(settings: AnalyseSettings) -> Damped:
    try:
        return Damped(max_steps=settings.iterations, damping=settings.damping, tolerance=_NEVER_WITHIN)
    except (ValueError, TypeError) as error:
        raise FlowBenchError(f"iterations={settings.iterations}, damping={settings.damping}: {error}") from error


def _pair(settings: AnalyseSettings) -> list[Frame]:
    given = settings.input if isinstance(settings.input, str | Path) else [str(path) for path in settings.input]
    return list(islice(open_frames(given), 2))


def _fitted(model: FlowModel, frame: Frame) -> Tensor:
    return model.padder.pad(image_batch(frame.image, device=model.device, dtype=torch.float32))


def _restored(model: FlowModel, frame: Frame, flow: Tensor) -> Tensor:
    """What the network gives at the size of the fitted picture, at the size of the picture."""
    return model.padder.unpad(flow, *frame.image.shape[:2])


def _dense(
    network: DEQFlow, solver: Damped, images: tuple[Tensor, Tensor], tolerances: list[float], restore: Any
) -> _Traced:
    with weights_computed_once(network.update_block):
        refine, start = network.problem(*images)
        solution, parts = solve_traced(solver, refine, start, tolerances)
    _refuse_divergence(solution.stats, "lower damping, or analyse a checkpoint of more training")

    def to_picture(steps: Tensor) -> Tensor:
        stride = network.stride
        return restore(steps.repeat_interleave(stride, dim=2).repeat_interleave(stride, dim=3))

    figures = [part_figures(name, part, to_picture) for name, part in zip(PARTS, parts, strict=True)]
    return _Traced(list(zip(figures, parts, strict=True)), network.decode(solution.z, refine.grid))


def _refuse_divergence(stats: SolverStats, remedy: str, rule: str = "") -> None:
    if stats.reason[0] == StopReason.DIVERGED:
        raise FlowBenchError(f"The solve{rule} diverged at step {stats.steps[0].item()}: {remedy}.")


def _write(
    settings: AnalyseSettings,
    folder: Path,
    model: FlowModel,
    frames: list[Frame],
    traced: _Traced,
    solves: dict[str, DeltaSolve],
    restore: Any,
) -> AnalysisResult:
    figures = [each for each, _ in traced.parts]
    rules = [rule_figures(name, solve) for name, solve in solves.items()]
    dense_flow = restore(traced.flow)
    differences = {
        name: (restore(solve.flow) - dense_flow).square().sum(dim=1).sqrt().mean().item()
        for name, solve in solves.items()
    }
    result = AnalysisResult(folder / PAGE, summary_rows(traced.parts), left_out_rows(**solves))
    page = ConvergencePage(
        title=f"How {model.name} converges",
        notes=_notes(settings, frames),
        image=frames[0].image,
        flow=dense_flow[0].permute(1, 2, 0).cpu().numpy(),
        parts=figures,
        rules=rules,
        rule_notes=_rule_notes(settings, differences),
        summary=result.summary,
        left_out=result.left_out,
    )
    write_convergence_page(result.page, page, settings.figures)
    about = {
        "model": model.name,
        "checkpoint": str(settings.ckpt),
        "input": [frame.name for frame in frames],
        "steps": settings.iterations,
        **{name: getattr(settings, name) for name in ("damping", "threshold", "scale", "memory")},
    }
    content = {**about, "summary": result.summary, "left_out": result.left_out, "flow_difference_px": differences}
    write_json(folder / SUMMARY, content)
    write_csv(folder / "steps.csv", step_rows(figures))
    write_csv(folder / "channels.csv", channel_rows(figures))
    write_csv(folder / "sparsity.csv", sparsity_rows(rules))
    return result


def _notes(settings: AnalyseSettings, frames: list[Frame]) -> list[str]:
    height, width = frames[0].image.shape[:2]
    kept, taken = 1 - settings.damping, settings.damping
    return [
        f"{settings.ckpt} on {frames[0].name} to {frames[1].name}, {width} x {height} pixels: {settings.iterations} steps of "
        f"z <- {kept:.3g} z + {taken:.3g} f(z).",
        "A dimension is one number of the state. Its first step under a tolerance is the first that moves it by less than "
        "the tolerance, as the DeltaDEQ paper counts; later ones may move it further. Coordinates are in pixels at 1/8 of "
        "the resolution.",
        "In the table: medians over the dimensions of the first step under the tolerance and of the one from which on they "
        "stay under it; the share of the dimensions that is never under it, and that is at the last step; and the steps by "
        "which 90% and 99% of the energy are spent, the squared change of all dimensions, added up over the steps.",
    ]


def _rule_notes(settings: AnalyseSettings, differences: dict[str, float]) -> list[str]:
    flows = "; ".join(f"{name} rule {difference:.4f} px" for name, difference in differences.items())
    return [
        f"Threshold {settings.threshold:g} ({settings.scale}), memory {settings.memory}, each rule followed through a solve "
        "of its own. The table has the means over the steps. The context, which never changes, is not counted among a "
        "layer's input. All layers: weighted by their multiplications.",
        f"Mean distance of the final flow from the dense one: {flows}.",
    ]


def _tell(result: AnalysisResult) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_table(columns_table(result.summary), console)
    left_out = result.left_out[0]
    told = ", ".join(f"{name} {value:.1f}" for name, value in left_out.items() if name != "layer")
    console.print(f"left out of all layers, mean over the steps: {told}")
    console.print(f"analysis: {result.page}")
