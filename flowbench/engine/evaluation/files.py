"""Files of an evaluation: metrics, panels, a report; and its lines on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from flowbench.engine.run.panels import sample_panel
from flowbench.io.image import write_image
from flowbench.io.records import write_csv, write_json
from flowbench.metrics import sample_sums
from flowbench.models.base import FlowModel
from flowbench.report.comparison import comparison_title
from flowbench.report.convergence import StepErrors, Trace
from flowbench.report.html import Report, ReportImage, write_report
from flowbench.report.table import metrics_table, print_table, rows_table
from flowbench.structures import FlowBatch, FlowDataset, FlowSample

Row = Mapping[str, Any]


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation; where numbers of iterations are compared, of the largest.

    settings: whatever changes the numbers. samples: one row per pair, in the data's order. sequences: one row per sequence.
    solver: means of the solver's statistics. traces: its residuals, one per pair. compared: one row per number of iterations
    or threshold. reported_metrics: the metrics that papers report on this data.
    """

    folder: Path
    settings: dict[str, Any]
    metrics: dict[str, float]
    samples: list[dict[str, Any]]
    sequences: list[dict[str, Any]]
    solver: dict[str, float] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    compared: list[dict[str, Any]] = field(default_factory=list)
    reported_metrics: Sequence[str] = ("epe",)

    @property
    def title(self) -> str:
        return f"{self.settings['model']} on {self.settings['data']} ({self.settings['split']})"


def write_result(
    result: EvaluationResult, model: FlowModel, samples: FlowDataset, pictures: int, figures: str | None = None
) -> None:
    """pictures: how many of the worst, the median and the best samples are shown; their flow is computed once more.
    figures: "pdf" writes the report's charts as PDF, too."""
    folder = result.folder
    solver = {"solver": result.solver} if result.solver else {}
    write_json(folder / "metrics.json", {"metrics": result.metrics, **solver, "settings": result.settings})
    write_csv(folder / "per_sample.csv", result.samples)
    write_csv(folder / "per_sequence.csv", result.sequences)
    if result.compared:
        write_csv(folder / ("thresholds.csv" if "threshold" in result.compared[0] else "steps.csv"), result.compared)
    pictured = _pictured(result.samples, pictures)
    report = Report(
        result.title,
        result.settings,
        result.metrics,
        result.sequences,
        result.samples,
        list(_report_images(result, model, samples, pictured)),
        solver=result.solver,
        compared=result.compared,
        traces=result.traces,
        step_errors=[each for each in _step_errors(model, samples, pictured) if each.epe],
    )
    write_report(folder / "report.html", report, figures)


def write_summary(folder: Path, results: Sequence[EvaluationResult]) -> None:
    """One row per data set in summary.csv and on the terminal: pairs, and the metrics that papers report on it."""
    rows = [
        {
            "data": result.settings["data"],
            "pairs": result.settings["pairs"],
            "steps": result.settings["steps"],
            **{name: result.metrics[name] for name in result.reported_metrics if name in result.metrics},
        }
        for result in results
    ]
    write_csv(folder / "summary.csv", rows)
    console = Console()
    print_table(rows_table(rows, f"{results[0].settings['model']}, {results[0].settings['split']}"), console)
    console.print(f"summary: {folder / 'summary.csv'}", highlight=False, soft_wrap=True)


def print_result(result: EvaluationResult) -> None:
    console = Console()
    print_table(metrics_table(result.metrics, result.title), console)
    if result.solver:
        print_table(metrics_table(result.solver, "solver (means)"), console)
    if result.compared:
        print_table(rows_table(result.compared, comparison_title(result.compared).lower()), console)
    for name, file in {"report": "report.html", "metrics": "metrics.json"}.items():
        console.print(f"{name}: {result.folder / file}", highlight=False, soft_wrap=True)


def _pictured(samples: Sequence[Row], count: int) -> dict[str, list[Row]]:
    """The samples with the largest, the middle and the smallest error."""
    ranked = sorted((row for row in samples if "epe" in row), key=lambda row: row["epe"], reverse=True)
    count = min(count, len(ranked))
    middle = (len(ranked) - count) // 2
    return {"worst": ranked[:count], "median": ranked[middle : middle + count], "best": ranked[len(ranked) - count :]}


def _report_images(
    result: EvaluationResult, model: FlowModel, samples: FlowDataset, pictured: Mapping[str, list[Row]]
) -> Iterator[ReportImage]:
    for group, rows in pictured.items():
        for rank, row in enumerate(rows, start=1):
            panel = sample_panel(model, samples[row["index"]])
            write_image(result.folder / "pictures" / f"{group}_{rank}.png", panel)
            yield ReportImage(panel, f"{row['key']}: EPE {row['epe']:.3f} px", group.capitalize())


def _step_errors(model: FlowModel, samples: FlowDataset, pictured: Mapping[str, list[Row]]) -> Iterator[StepErrors]:
    shown = set()
    for group, rows in pictured.items():
        for row in rows:
            if row["index"] not in shown:
                shown.add(row["index"])
                yield StepErrors(row["key"], group, _errors_after_steps(model, samples[row["index"]]))


def _errors_after_steps(model: FlowModel, sample: FlowSample) -> list[float]:
    batch = FlowBatch.collate([sample])
    sums = (sample_sums(flow.cpu(), batch)["epe"] for flow in model.flows_after_steps(sample.image1, sample.image2))
    return [(total / count).item() for total, count in sums]
