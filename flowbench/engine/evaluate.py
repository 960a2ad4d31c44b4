"""Evaluation of a checkpoint, on one data set or on several, at one step limit or at several."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pytorch_lightning.callbacks import RichProgressBar

from flowbench.builder import targets
from flowbench.checkpoints.settings import build_remembered, chosen_roots, merged, refuse_interpolations, with_roots
from flowbench.configs import build, plain
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.arguments import job_overrides
from flowbench.engine.composed_groups import chosen_data, data_config, given_roots
from flowbench.engine.evaluation_files import EvaluationResult, print_result, write_result, write_summary
from flowbench.engine.interruption import OwnSignals
from flowbench.engine.models import load_model
from flowbench.engine.processes import processes
from flowbench.engine.protocols import follow_protocol
from flowbench.engine.rank import is_first_process
from flowbench.engine.samples import SampleRecorder
from flowbench.engine.timing import NetworkTimer
from flowbench.engine.value_checks import check_plain_values
from flowbench.engine.variants import chosen_variants, is_compared, variant_row
from flowbench.errors import FlowBenchError
from flowbench.io.names import inside
from flowbench.models.base import FlowModel
from flowbench.models.cascade import chosen_cascade
from flowbench.report.figure_files import check_figures
from flowbench.structures import FlowDataset


@dataclass(frozen=True)
class _Test:
    """One data set of what is evaluated. label: "sintel/clean", or the data's name where it has only one."""

    label: str
    data: FlowDataModule
    samples: FlowDataset


def evaluate(config: DictConfig) -> list[EvaluationResult]:
    """Evaluates ckpt=<ours or official> on each data set, in a folder each where there are several.

    Each gets metrics.json, per_sample.csv, per_sequence.csv, pictures, report.html, and steps.csv or thresholds.csv where
    step limits or thresholds of the delta rule are compared; several get summary.csv, too.
    """
    if not config.get("ckpt"):
        raise FlowBenchError("No checkpoint was given, and fresh weights would score noise: add ckpt=<file>.")
    check_figures(config.figures)
    folder = Path(HydraConfig.get().runtime.output_dir)
    model, settings = load_model(config.ckpt, config.get("model"))
    model.warm_start = config.warm_start
    model.cascade = chosen_cascade(config.cascade, warm_start=config.warm_start)
    tests = _tests(evaluated_data(config, settings), config.split)
    with processes(config.trainer):
        recorder, timer = SampleRecorder(), NetworkTimer()
        callbacks = [recorder, timer, RichProgressBar(), OwnSignals()]
        trainer = build(config.trainer, callbacks=callbacks, logger=False, default_root_dir=str(folder))
        results = []
        for test in tests:
            own = inside(folder, test.label.replace("/", "_")) if len(tests) > 1 else folder
            results.append(_evaluated(config, own, model, test, trainer, recorder, timer))
    if is_first_process() and len(results) > 1:
        write_summary(folder, results)
    return results


def evaluated_data(config: DictConfig, settings: Mapping[str, Any]) -> list[FlowDataModule]:
    """The data that was asked for, one or a list, or else the data that the checkpoint was trained on."""
    overrides = job_overrides()
    names = chosen_data(overrides)
    if names:
        return [build(data_config(name, overrides)) for name in names]
    return [evaluation_data(config, settings, overrides)]


def evaluation_data(config: DictConfig, settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> FlowDataModule:
    """The data that was asked for, or else the data that the checkpoint was trained on, where that or roots.<set>= says."""
    changes = plain(config.get("data")) or {}
    if "_target_" in changes:
        return build(changes)
    if not isinstance(settings.get("data"), Mapping):
        raise FlowBenchError("The checkpoint does not say which data to evaluate on: add data=<name>.")
    kept = settings.get("roots")
    roots = chosen_roots(kept if isinstance(kept, Mapping) else {}, plain(config.roots), given_roots(overrides))
    # The cache is written by training alone, in a folder of the machine that trained.
    remembered = {**settings["data"], "cache": None} if "cache" in settings["data"] else settings["data"]
    data = with_roots(merged(remembered, changes), roots)
    refuse_interpolations({"data": data})
    check_plain_values({"data": data})
    made = build_remembered({"data": data}, also=set(targets(changes)))["data"]
    if not isinstance(made, FlowDataModule):
        raise FlowBenchError("The checkpoint's settings do not describe data to evaluate on: add data=<name>.")
    return made


def _tests(modules: list[FlowDataModule], split: str) -> list[_Test]:
    if split not in ("train", "val", "test"):
        raise FlowBenchError(f"split={split}: choose train, val or test, whose truth is known.")
    tests = []
    for data in modules:
        sets = data.split(split)
        for name, samples in sets.items():
            tests.append(_Test(data.name if len(sets) == 1 else f"{data.name}/{name}", data, samples))
    return tests


def _evaluated(
    config: DictConfig,
    folder: Path,
    model: FlowModel,
    test: _Test,
    trainer: pl.Trainer,
    recorder: SampleRecorder,
    timer: NetworkTimer,
) -> EvaluationResult:
    test.data.test_on(test.samples)
    follow_protocol(model, test.data.protocol)
    compared = []
    for variant in chosen_variants(config, model):
        variant.apply(model)
        trainer.test(model, datamodule=test.data, verbose=False)
        recorder.gather()
        compared.append(variant_row(variant, model.test_figures, recorder.rows(), timer.seconds_per_pair()))
    result = EvaluationResult(
        folder,
        _settings(config, model, test, trainer),
        model.test_figures,
        recorder.rows(),
        recorder.sequences(),
        recorder.solver(),
        recorder.traces(),
        compared if is_compared(config.steps) or is_compared(config.threshold) else [],
        headline=test.data.protocol.headline,
    )
    if is_first_process():
        write_result(result, model.to(trainer.strategy.root_device), test.samples, config.pictures, config.figures)
        print_result(result)
    return result


def _settings(config: DictConfig, model: FlowModel, test: _Test, trainer: pl.Trainer) -> dict[str, Any]:
    return {
        "model": model.name,
        "checkpoint": str(config.ckpt),
        "checkpoint sha256": hashlib.sha256(Path(config.ckpt).read_bytes()).hexdigest(),
        "data": test.label,
        "split": config.split,
        "pairs": len(test.samples),
        "steps": model.iterations,
        **model.estimate_settings(),
        "warm start": model.warm_start,
        "cascade": "none" if model.cascade is None else str(model.cascade),
        "fitting": str(model.fitting),
        "precision": str(trainer.precision),
        "device": trainer.strategy.root_device.type,
        "processes": trainer.world_size,
        "torch": torch.__version__,
    }
