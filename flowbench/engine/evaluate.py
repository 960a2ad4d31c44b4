"""Evaluation of a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import RichProgressBar
from rich.console import Console
from torch.utils.data import Dataset

from flowbench.configs import build
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.models import load_model
from flowbench.engine.pictures import sample_panel
from flowbench.engine.processes import is_first_process, processes
from flowbench.engine.samples import SampleRecorder
from flowbench.errors import FlowBenchError
from flowbench.io.image import write_image
from flowbench.io.records import write_csv, write_json
from flowbench.models.base import FlowModel
from flowbench.report.html import Picture, Report, write_report
from flowbench.report.table import metrics_table, print_table


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found.

    settings: whatever changes the numbers. samples: one row a pair, in the data's order. sequences: one row a sequence.
    """

    folder: Path
    settings: dict[str, Any]
    metrics: dict[str, float]
    samples: list[dict[str, Any]]
    sequences: list[dict[str, Any]]


def evaluate(config: DictConfig) -> EvaluationResult:
    """Evaluates +ckpt=<ours or official> and writes metrics.json, per_sample.csv, per_sequence.csv, pictures, report.html."""
    if not config.get("ckpt"):
        raise FlowBenchError("No checkpoint was given, and fresh weights would score noise: add +ckpt=<file>.")
    folder = Path(HydraConfig.get().runtime.output_dir)
    model, settings = load_model(config.ckpt, config.get("model"))
    if config.iterations is not None:
        model.set_iterations(config.iterations)
    data = evaluation_data(config.get("data"), settings)
    samples = data.test_on(config.split)
    recorder = SampleRecorder()
    with processes(config.trainer):
        trainer = build(
            config.trainer, callbacks=[recorder, RichProgressBar()], logger=False, default_root_dir=str(folder)
        )
        trainer.test(model, datamodule=data, verbose=False)
        recorder.gather()
    described = _settings(config, model, data, samples, trainer)
    result = EvaluationResult(folder, described, model.test_figures, recorder.rows(), recorder.sequences())
    if is_first_process():
        _write(result, model, samples, config.pictures)
    return result


def evaluation_data(chosen: DictConfig | None, settings: Mapping[str, Any]) -> FlowDataModule:
    """The data that was asked for, or else the data that the checkpoint was trained on."""
    if chosen and "_target_" in chosen:
        return build(chosen)
    if "data" not in settings:
        raise FlowBenchError("The checkpoint does not say which data to evaluate on: add data=<name>.")
    remembered = OmegaConf.create(dict(settings["data"]))
    return build(OmegaConf.merge(remembered, chosen or {}), from_checkpoint=True)


def _settings(
    config: DictConfig, model: FlowModel, data: FlowDataModule, samples: Dataset, trainer: pl.Trainer
) -> dict[str, Any]:
    return {
        "model": model.name,
        "checkpoint": str(config.ckpt),
        "checkpoint sha256": hashlib.sha256(Path(config.ckpt).read_bytes()).hexdigest(),
        "data": data.name,
        "split": config.split,
        "pairs": len(samples),
        "iterations": model.iterations,
        "fitting": str(model.fitting),
        "precision": str(trainer.precision),
        "device": trainer.strategy.root_device.type,
        "processes": trainer.world_size,
        "torch": torch.__version__,
    }


def _write(result: EvaluationResult, model: FlowModel, samples: Dataset, pictures: int) -> None:
    folder = result.folder
    write_json(folder / "metrics.json", {"metrics": result.metrics, "settings": result.settings})
    write_csv(folder / "per_sample.csv", result.samples)
    write_csv(folder / "per_sequence.csv", result.sequences)
    shown = _pictures(result, model, samples, pictures)
    title = f"{result.settings['model']} on {result.settings['data']} ({result.settings['split']})"
    write_report(
        folder / "report.html",
        Report(title, result.settings, result.metrics, result.sequences, result.samples, shown),
    )
    console = Console()
    print_table(metrics_table(result.metrics, title), console)
    console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"figures: {folder / 'metrics.json'}", highlight=False, soft_wrap=True)


def _pictures(result: EvaluationResult, model: FlowModel, samples: Dataset, count: int) -> list[Picture]:
    """Panels of the samples with the largest, the middle and the smallest error; their flow is computed once more."""
    ranked = sorted((row for row in result.samples if "epe" in row), key=lambda row: row["epe"], reverse=True)
    count = min(count, len(ranked))
    middle = (len(ranked) - count) // 2
    groups = {"worst": ranked[:count], "median": ranked[middle : middle + count], "best": ranked[len(ranked) - count :]}
    shown = []
    for group, rows in groups.items():
        for place, row in enumerate(rows, start=1):
            panel = sample_panel(model, samples[row["index"]])
            write_image(result.folder / "pictures" / f"{group}_{place}.png", panel)
            shown.append(Picture(panel, f"{row['key']}: EPE {row['epe']:.3f} px", group.capitalize()))
    return shown
