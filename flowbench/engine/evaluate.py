"""Evaluation of a checkpoint, at one step limit or at several."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf
from pytorch_lightning.callbacks import RichProgressBar
from torch.utils.data import Dataset

from flowbench.configs import build
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.evaluation_files import EvaluationResult, print_result, write_result
from flowbench.engine.models import load_model
from flowbench.engine.processes import is_first_process, processes
from flowbench.engine.samples import SampleRecorder
from flowbench.engine.step_limits import chosen_limits, limit_row
from flowbench.engine.timing import NetworkTimer
from flowbench.errors import FlowBenchError
from flowbench.models.base import FlowModel


def evaluate(config: DictConfig) -> EvaluationResult:
    """Evaluates +ckpt=<ours or official> and writes metrics.json, per_sample.csv, per_sequence.csv, pictures, report.html,
    and steps.csv where step limits are compared."""
    if not config.get("ckpt"):
        raise FlowBenchError("No checkpoint was given, and fresh weights would score noise: add +ckpt=<file>.")
    folder = Path(HydraConfig.get().runtime.output_dir)
    model, settings = load_model(config.ckpt, config.get("model"))
    limits = chosen_limits(config.steps, model)
    model.warm_start = config.warm_start
    data = evaluation_data(config.get("data"), settings)
    samples = data.test_on(config.split)
    recorder, timer, compared = SampleRecorder(), NetworkTimer(), []
    with processes(config.trainer):
        callbacks = [recorder, timer, RichProgressBar()]
        trainer = build(config.trainer, callbacks=callbacks, logger=False, default_root_dir=str(folder))
        for limit in limits:
            if limit is not None:
                model.set_iterations(limit)
            trainer.test(model, datamodule=data, verbose=False)
            recorder.gather()
            compared.append(limit_row(limit, model.test_figures, recorder.rows(), timer.seconds_per_pair()))
    result = EvaluationResult(
        folder,
        _settings(config, model, data, samples, trainer),
        model.test_figures,
        recorder.rows(),
        recorder.sequences(),
        recorder.solver(),
        recorder.traces(),
        compared if isinstance(config.steps, ListConfig) else [],
    )
    if is_first_process():
        write_result(result, model.to(trainer.strategy.root_device), samples, config.pictures)
        print_result(result)
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
        "steps": model.iterations,
        **model.estimate_settings(),
        "warm start": model.warm_start,
        "fitting": str(model.fitting),
        "precision": str(trainer.precision),
        "device": trainer.strategy.root_device.type,
        "processes": trainer.world_size,
        "torch": torch.__version__,
    }
