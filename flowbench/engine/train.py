"""Training of a model, from a config to checkpoints and metrics."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger, WandbLogger

from flowbench.checkpoints.files import AtomicCheckpointIO
from flowbench.checkpoints.settings import reference
from flowbench.configs import build, resolved
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.config.models import build_model, start_from
from flowbench.engine.config.protocols import follow_protocol
from flowbench.engine.run import Run
from flowbench.engine.run.error_messages import sentence
from flowbench.engine.run.folder import BEST, LAST, newest_checkpoint, prepare, record, resumed_config, tidy, withdraw
from flowbench.engine.run.interruption import Interrupted, OwnSignals
from flowbench.engine.run.lock import locked
from flowbench.engine.run.processes import processes
from flowbench.engine.run.rank import is_first_process
from flowbench.engine.run.status import RunStatus
from flowbench.engine.training.averaging import MovingAverage
from flowbench.engine.training.callbacks import StepSeed
from flowbench.engine.training.csv_logger import CSVMetrics
from flowbench.engine.training.recipes import recipe_line, refuse_overruled_schedule
from flowbench.engine.training.settings import TrainSettings
from flowbench.engine.training.time_limit import TimeLimit
from flowbench.engine.training.visible_first import VisibleFirst
from flowbench.errors import FlowBenchError
from flowbench.programs import typed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """folder: the run's own. best: its best checkpoint. metrics: the last validation's."""

    folder: Path
    best: Path
    metrics: dict[str, float]


def train(settings: TrainSettings, run: Run) -> TrainingResult:
    """Trains in the run's own folder; with settings.resume, continues a run as if it had never stopped.

        train(TrainSettings.composed("model=raft_small", "schedule.steps=100"), Run(Path("runs/first")))

    The folder's status.json says how the run stands and how it ended. Raises Interrupted where a signal ended it.
    """
    resuming = bool(settings.resume)
    if resuming:
        run = replace(run, folder=Path(os.path.abspath(str(settings.resume))))
        settings = TrainSettings.of(resumed_config(run.folder, run.overrides, settings.config()))
    else:
        refuse_overruled_schedule(run.choices)
    run.folder.mkdir(parents=True, exist_ok=True)
    status = RunStatus(run.folder)
    with _alone_in(run.folder, resuming=resuming), _recorded(status, run.folder, settings):
        with processes(settings.trainer, run, report=status.failed):
            result, step = _train(settings, run, status, resuming=resuming)
        if is_first_process():
            status.finished(step)
        return result


@contextmanager
def _alone_in(folder: Path, *, resuming: bool) -> Iterator[None]:
    """The first process holds the run's folder, and makes it ready."""
    if not is_first_process():
        yield
        return
    with locked(folder):
        if resuming:
            tidy(folder)
        else:
            prepare(folder)
        yield


@contextmanager
def _recorded(status: RunStatus, folder: Path, settings: TrainSettings) -> Iterator[None]:
    """Writes down how the run ended, where it did not end well."""
    try:
        yield
    except Interrupted as end:
        if is_first_process():
            status.interrupted(end.signal.name, end.step)
        raise Interrupted(end.signal, _interruption(end, folder, settings.schedule.steps), step=end.step) from end
    except Exception as error:
        # A full disk may be what ended the run: that error is the one to tell.
        with suppress(FlowBenchError):
            status.failed(sentence(error, config="train", arguments=[]) or type(error).__name__)
        raise


def _interruption(end: Interrupted, folder: Path, steps: int) -> str:
    if not (folder / LAST).exists():
        return f"{end.signal.name}: '{folder}' ended before its first checkpoint; the same command starts it again."
    after = "" if end.step is None else f" after {end.step:,} of {steps:,} steps"
    command = f"{typed('train')} {shlex.quote(f'resume={folder}')}"
    return f"{end.signal.name}: stopped{after} in {folder}; to go on: {command}"


def _train(settings: TrainSettings, run: Run, status: RunStatus, *, resuming: bool) -> tuple[TrainingResult, int]:
    """What came of it, and the steps that were made."""
    folder = run.folder
    pl.seed_everything(settings.seed, workers=True, verbose=False)
    optimisation = build(settings.schedule.optimisation)
    model = build_model(settings.model, optimisation=optimisation, remembered=remembered_data(settings))
    data = training_data(settings)
    follow_protocol(model, data.protocol)
    if not resuming and settings.init:
        start_from(model, settings.init)
    metrics = CSVMetrics(folder / "metrics.csv")
    loggers = [metrics, *_built(settings.logger, save_dir=str(folder))]
    trainer = _trainer(settings, folder, loggers)
    before = set(folder.iterdir())
    if is_first_process():
        if resuming:
            metrics.resume(_steps_done(folder, settings.schedule.steps) - 1)
        else:
            _record(run, settings, data, trainer.world_size)
        status.running()
        log.info("%s", f"{folder}: {_length(settings.schedule)} of {model.name} on {data.name}")
    try:
        trainer.fit(model, datamodule=data, ckpt_path=str(folder / LAST) if resuming else None)
    except FlowBenchError:
        if not resuming and trainer.global_step == 0 and is_first_process():
            withdraw(folder, before)
        raise
    finally:
        _finish(loggers)
    validated = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    return TrainingResult(folder, folder / BEST, validated), trainer.global_step


def _record(run: Run, settings: TrainSettings, data: FlowDataModule, processes: int) -> None:
    record(run, settings.config(), data.counts(), data.trees(), processes=processes)
    log.info("pairs: %s", ", ".join(f"{name} {count:,}" for name, count in data.counts().items()))
    for name, tree in data.trees().items():
        log.info("%s has the %s tree", name, tree)
    log.info("%s", recipe_line(settings, run.choices))


def _steps_done(folder: Path, all_steps: int) -> int:
    steps = int(newest_checkpoint(folder)["global_step"])
    if steps >= all_steps:
        raise FlowBenchError(
            f"The run in '{folder}' is complete ({steps} of {all_steps} steps): to train further, start a new run with "
            f"init={folder / LAST}."
        )
    log.info("resumed from %s, step %s", folder / LAST, f"{steps:,}")
    return steps


def training_data(settings: TrainSettings) -> FlowDataModule:
    """The data of a training run, cut and counted as its schedule says."""
    schedule = settings.schedule
    data: FlowDataModule = build(
        settings.data, batch_size=schedule.batch_size, crop=schedule.crop, steps=schedule.steps, seed=settings.seed
    )
    return data


def remembered_data(settings: TrainSettings) -> dict[str, Any]:
    """What a checkpoint remembers of the data: `data`, which refers to its `paths`, and those of them that the environment
    does not give."""
    roots = resolved(settings.paths if settings.paths is not None else OmegaConf.create())
    referring = OmegaConf.merge(settings.config(), {"paths": {name: reference(name) for name in roots}})
    return {
        "data": resolved(referring.data),
        "paths": {name: root for name, root in roots.items() if "${" not in str(root)},
    }


def _trainer(settings: TrainSettings, folder: Path, loggers: list[Logger]) -> pl.Trainer:
    callbacks = [
        OwnSignals(),
        StepSeed(settings.seed),
        *_of_the_schedule(settings.schedule),
        *_callbacks(settings.callbacks),
    ]
    return build(
        settings.trainer,
        default_root_dir=str(folder),
        max_steps=settings.schedule.steps,
        max_epochs=-1,
        gradient_clip_val=settings.schedule.gradient_clip,
        val_check_interval=_batches_between_validations(settings),
        check_val_every_n_epoch=None,
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO()],
    )


def _length(schedule: DictConfig) -> str:
    """Of the training, for its first line."""
    hours = schedule.get("hours")
    return f"{schedule.steps} steps" if hours is None else f"at most {schedule.steps} steps in {hours:g} hours"


def _of_the_schedule(schedule: DictConfig) -> list[Callback]:
    """The callbacks of a schedule's options."""
    options = {"hours": TimeLimit, "ema": MovingAverage, "visible_first": VisibleFirst}
    # A run of an earlier version has no such settings.
    return [callback(schedule[name]) for name, callback in options.items() if schedule.get(name) is not None]


def _batches_between_validations(settings: TrainSettings) -> int:
    """Short runs are validated too, at their end."""
    schedule = settings.schedule
    batches: int = min(schedule.val_interval, schedule.steps) * settings.trainer.accumulate_grad_batches
    return batches


def _built(group: DictConfig | None, **more: Any) -> list[Any]:
    """The objects of a group of several; null takes one out."""
    return [build(entry, **more) for entry in (group or {}).values() if entry is not None]


def _callbacks(group: DictConfig | None) -> list[Callback]:
    callbacks = _built(group)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise FlowBenchError(
                f"A {type(callback).__name__} stands among the callbacks, but only Lightning's Callbacks can: check the "
                "_target_ of each."
            )
    return callbacks


def _finish(loggers: list[Logger]) -> None:
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            wandb.finish()
