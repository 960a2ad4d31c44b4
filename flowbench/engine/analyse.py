"""Per-dimension convergence of a DEQ on one pair, and what the delta rules would leave out of its solve."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console

from flowbench.deq import DEQ, Damped
from flowbench.engine.analysis.files import AnalysisResult, write_analysis
from flowbench.engine.analysis.settings import AnalyseSettings
from flowbench.engine.analysis.solve import padded, refuse_divergence, solve_densely, unpadded
from flowbench.engine.config.kinds import several
from flowbench.engine.config.models import load_model
from flowbench.engine.run import Run
from flowbench.engine.run.devices import chosen_device
from flowbench.errors import FlowBenchError
from flowbench.io import Frame, open_frames
from flowbench.networks.delta_shares import delta_solve
from flowbench.networks.deqflow import DEQFlow
from flowbench.ops.delta.convolution import Delta
from flowbench.report.table import columns_table, print_table

_NEVER_WITHIN = 1e-30


@torch.inference_mode()
def analyse(settings: AnalyseSettings, run: Run) -> AnalysisResult:
    """Solves one pair of images with a DEQ-Flow or DeltaDEQ, ours or official: densely, and under both delta rules.

    Raises FlowBenchError for whatever the user can mend: settings, checkpoint, input, a solve that diverges.
    """
    tolerances, deltas = [float(tolerance) for tolerance in several(settings.tolerance)], _deltas(settings)
    solver = _solver(settings)
    deq = DEQ(solver=solver, eval_steps=settings.iterations)
    model = load_model(str(settings.ckpt), settings.model)[0].to(chosen_device(settings.device))
    if not isinstance(model.network, DEQFlow):
        raise FlowBenchError(f"{model.name} has no equilibrium: give a checkpoint of DEQ-Flow or DeltaDEQ.")
    frames = _pair(settings)
    image1, image2 = (padded(model, frame) for frame in frames)
    restore = partial(unpadded, model, frames[0])
    traced = solve_densely(model.network, solver, (image1, image2), tolerances, restore)
    solves = {rule: delta_solve(model.network, deq, delta, image1, image2) for rule, delta in deltas.items()}
    for rule, solve in solves.items():
        refuse_divergence(solve.stats, "lower threshold", rule=f" under the {rule} rule")
    result = write_analysis(settings, run.folder, model, frames, traced, solves, restore)
    _print(result)
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


def _print(result: AnalysisResult) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_table(columns_table(result.summary), console)
    left_out = result.left_out[0]
    shares = ", ".join(f"{name} {value:.1f}" for name, value in left_out.items() if name != "layer")
    console.print(f"left out of all layers, mean over the steps: {shares}")
    console.print(f"analysis: {result.page}")
