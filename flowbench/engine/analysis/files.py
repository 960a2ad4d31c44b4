"""The page of an analysis, and its numbers as JSON and CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowbench.engine.analysis.figures import (
    channel_rows,
    left_out_rows,
    rule_figures,
    sparsity_rows,
    step_rows,
    summary_rows,
)
from flowbench.engine.analysis.settings import AnalyseSettings
from flowbench.engine.analysis.solve import TracedSolve
from flowbench.io import Frame
from flowbench.io.records import Row, write_csv, write_json
from flowbench.models.base import FlowModel
from flowbench.networks.delta_shares import DeltaSolve
from flowbench.report.convergence_page import ConvergencePage, write_convergence_page

PAGE = "analysis.html"
SUMMARY = "analysis.json"


@dataclass(frozen=True)
class AnalysisResult:
    """page: the HTML file; beside it analysis.json, steps.csv, channels.csv and sparsity.csv. summary, left_out: the rows
    that analysis.json holds: of each part of the state and tolerance, and of each layer."""

    page: Path
    summary: list[Row]
    left_out: list[Row]


def write_analysis(
    settings: AnalyseSettings,
    folder: Path,
    model: FlowModel,
    frames: list[Frame],
    traced: TracedSolve,
    solves: dict[str, DeltaSolve],
    restore: Any,
) -> AnalysisResult:
    parts = [part for part, _ in traced.parts]
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
        parts=parts,
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
    write_csv(folder / "steps.csv", step_rows(parts))
    write_csv(folder / "channels.csv", channel_rows(parts))
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
