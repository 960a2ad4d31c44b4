"""Evaluation of a checkpoint, on one data set or on several, with one number of iterations or with several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import RichProgressBar

from flowbench.builder import TARGET, targets
from flowbench.checkpoints.settings import build_remembered, chosen_roots, merged, refuse_interpolations, with_roots
from flowbench.configs import build, plain
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.config.groups import data_modules
from flowbench.engine.config.kinds import is_list
from flowbench.engine.config.models import load_model
from flowbench.engine.config.protocols import follow_protocol
from flowbench.engine.config.value_checks import check_plain_group
from flowbench.engine.evaluation.comparison import chosen_variants, variant_row
from flowbench.engine.evaluation.files import EvaluationResult, print_result, write_result, write_summary
from flowbench.engine.evaluation.module import EvaluationModule
from flowbench.engine.evaluation.recorder import SampleRecorder
from flowbench.engine.evaluation.settings import EvaluateSettings
from flowbench.engine.evaluation.timer import NetworkTimer
from flowbench.engine.run import Run
from flowbench.engine.run.interruption import OwnSignals
from flowbench.engine.run.processes import processes
from flowbench.engine.run.rank import is_first_process
from flowbench.errors import FlowBenchError
from flowbench.io.names import inside
from flowbench.models.cascade import chosen_cascade
from flowbench.pretrained import locate, sha256_of
from flowbench.structures import FlowDataset


@dataclass(frozen=True)
class _Test:
    """One data set of what is evaluated. label: "sintel/clean", or the data's name where it has only one."""

    label: str
    data: FlowDataModule
    samples: FlowDataset


def evaluate(settings: EvaluateSettings, run: Run) -> list[EvaluationResult]:
    """Evaluates a checkpoint, ours or official, on each data set, in a folder each where there are several.

    Each gets metrics.json, per_sample.csv, per_sequence.csv, pictures, report.html, and steps.csv or thresholds.csv where
    iterations or thresholds of the delta rule are compared; several get summary.csv, too.

        evaluate(EvaluateSettings(ckpt="best.ckpt", iterations=[12, 24]), Run(Path("results")))

    Raises FlowBenchError for whatever the user can mend: checkpoint, data.
    """
    model, remembered = load_model(str(settings.ckpt), settings.model)
    tester = EvaluationModule(model, cascade=chosen_cascade(settings.cascade), warm_start=settings.warm_start)
    tests = _tests(evaluated_data(settings, remembered), settings.split)
    with processes(settings.trainer, run):
        recorder, timer = SampleRecorder(), NetworkTimer(model.network)
        callbacks = [recorder, timer, RichProgressBar(), OwnSignals()]
        trainer = build(settings.trainer, callbacks=callbacks, logger=False, default_root_dir=str(run.folder))
        results = []
        for test in tests:
            own = inside(run.folder, test.label.replace("/", "_")) if len(tests) > 1 else run.folder
            results.append(_evaluated(settings, own, tester, test, trainer, recorder, timer))
    if is_first_process() and len(results) > 1:
        write_summary(run.folder, results)
    return results


def evaluated_data(settings: EvaluateSettings, remembered: Mapping[str, Any]) -> list[FlowDataModule]:
    """The data that was asked for, one or several, or else the data that the checkpoint was trained on.

    That lies where it remembers, or in a folder that paths.<set> names.

    Args:
        settings: Of their data, a config without a `_target_` changes what the checkpoint remembers.
        remembered: The settings of the checkpoint.
    """
    if settings.data is not None and not (isinstance(settings.data, DictConfig) and TARGET not in settings.data):
        return data_modules(settings.data)
    changes = plain(settings.data) or {}
    if not isinstance(remembered.get("data"), Mapping):
        raise FlowBenchError("The checkpoint does not say which data to evaluate on: add data=<name>.")
    kept = remembered.get("paths")
    own = settings.paths if settings.paths is not None else OmegaConf.create()
    written = cast(Mapping[str, Any], OmegaConf.to_container(own, resolve=False))
    roots = chosen_roots(kept if isinstance(kept, Mapping) else {}, plain(own), written)
    # The cache is written by training alone, in a folder of the machine that trained.
    known = {**remembered["data"], "cache": None} if "cache" in remembered["data"] else remembered["data"]
    data = with_roots(merged(known, changes), roots)
    refuse_interpolations({"data": data})
    made = build_remembered({"data": data}, also=set(targets(changes)))["data"]
    if not isinstance(made, FlowDataModule):
        raise FlowBenchError("The checkpoint's settings do not describe data to evaluate on: add data=<name>.")
    check_plain_group("data", data)
    return [made]


def _tests(modules: list[FlowDataModule], split: str) -> list[_Test]:
    tests = []
    for data in modules:
        sets = data.split(split)
        for name, samples in sets.items():
            tests.append(_Test(data.name if len(sets) == 1 else f"{data.name}/{name}", data, samples))
    return tests


def _evaluated(
    settings: EvaluateSettings,
    folder: Path,
    tester: EvaluationModule,
    test: _Test,
    trainer: pl.Trainer,
    recorder: SampleRecorder,
    timer: NetworkTimer,
) -> EvaluationResult:
    model = tester.model
    test.data.test_on(test.samples)
    follow_protocol(model, test.data.protocol)
    compared = []
    for variant in chosen_variants(settings, model):
        variant.apply(model)
        trainer.test(tester, datamodule=test.data, verbose=False)
        recorder.gather()
        compared.append(variant_row(variant, tester.results, recorder.rows(), timer.seconds_per_pair()))
    result = EvaluationResult(
        folder,
        _settings(settings, tester, test, trainer),
        tester.results,
        recorder.rows(),
        recorder.sequences(),
        recorder.solver(),
        recorder.traces(),
        compared if is_list(settings.iterations) or is_list(settings.threshold) else [],
        reported_metrics=test.data.protocol.reported_metrics,
    )
    if is_first_process():
        write_result(result, model.to(trainer.strategy.root_device), test.samples, settings.pictures, settings.figures)
        print_result(result)
    return result


def _settings(settings: EvaluateSettings, tester: EvaluationModule, test: _Test, trainer: pl.Trainer) -> dict[str, Any]:
    model = tester.model
    return {
        "model": model.name,
        "checkpoint": str(settings.ckpt),
        "checkpoint sha256": sha256_of(locate(str(settings.ckpt)).path),
        "data": test.label,
        "split": settings.split,
        "pairs": len(test.samples),
        "steps": model.iterations,
        **model.estimate_settings(),
        "warm start": tester.warm_start,
        "cascade": "none" if tester.cascade is None else str(tester.cascade),
        "padder": str(model.padder),
        "precision": str(trainer.precision),
        "device": trainer.strategy.root_device.type,
        "processes": trainer.world_size,
        "torch": torch.__version__,
    }
