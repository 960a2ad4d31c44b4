"""Training."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger, WandbLogger

from flowbench.checkpoints.files import AtomicCheckpointIO
from flowbench.checkpoints.read import read_checkpoint
from flowbench.checkpoints.settings import reference
from flowbench.configs import build, resolved
from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.callbacks import StepSeed
from flowbench.engine.csv_logger import CSVMetrics
from flowbench.engine.models import build_model, start_from
from flowbench.engine.processes import is_first_process, processes
from flowbench.engine.protocols import follow_protocol
from flowbench.engine.run_folder import BEST, LAST, record, refuse_used, resumed_config
from flowbench.errors import FlowBenchError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """folder: the run's own. best: its best checkpoint. metrics: the last validation's."""

    folder: Path
    best: Path
    metrics: dict[str, float]


def train(config: DictConfig) -> TrainingResult:
    """Trains what the config says, in the run's own folder; resume=<folder> continues a run as if it had never stopped."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    resuming = bool(config.resume)
    if resuming:
        # As typed: a word may refer to a secret of the environment.
        words = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        config = resumed_config(config.resume, words, config)
    elif is_first_process():
        refuse_used(folder)
    _check(config.schedule)
    with processes(config.trainer):
        return _train(config, folder, resuming=resuming)


def _train(config: DictConfig, folder: Path, *, resuming: bool) -> TrainingResult:
    pl.seed_everything(config.seed, workers=True, verbose=False)
    model = build_model(config.model)
    model.optimisation = build(config.schedule.optimisation)
    data = training_data(config)
    model.settings |= remembered_data(config)
    follow_protocol(model, data.protocol)
    if config.init and not resuming:
        start_from(model, config.init)
    if is_first_process() and not resuming:
        record(folder, config, data.counts(), data.trees())
        log.info("pairs: %s", ", ".join(f"{name} {count:,}" for name, count in data.counts().items()))
        for name, tree in data.trees().items():
            log.info("%s has the %s tree", name, tree)
    metrics = CSVMetrics(folder / "metrics.csv")
    loggers = [metrics, *_built(config.logger, save_dir=str(folder))]
    trainer = _trainer(config, folder, loggers)
    if is_first_process():
        log.info("%s", f"{folder}: {config.schedule.steps} steps of {model.name} on {data.name}")
    if resuming:
        metrics.resume(_steps_done(folder, config) - 1)
    try:
        trainer.fit(model, datamodule=data, ckpt_path=str(folder / LAST) if resuming else None)
    finally:
        _finish(loggers)
    figures = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    return TrainingResult(folder, folder / BEST, figures)


def _check(schedule: DictConfig) -> None:
    for name in ("steps", "batch_size", "val_interval"):
        if type(schedule[name]) is not int or schedule[name] < 1:
            raise FlowBenchError(f"schedule.{name}={schedule[name]}: a whole number above zero is needed.")


def _steps_done(folder: Path, config: DictConfig) -> int:
    steps = int(read_checkpoint(folder / LAST)["global_step"])
    if steps >= config.schedule.steps:
        raise FlowBenchError(
            f"The run in '{folder}' is complete ({steps} of {config.schedule.steps} steps): to train further, start a new "
            f"run with init={folder / LAST}."
        )
    return steps


def training_data(config: DictConfig) -> FlowDataModule:
    """The data of a training run, cut and counted as its schedule says."""
    schedule = config.schedule
    return build(
        config.data, batch_size=schedule.batch_size, crop=schedule.crop, steps=schedule.steps, seed=config.seed
    )


def remembered_data(config: DictConfig) -> dict[str, Any]:
    """What a checkpoint remembers of the data: `data`, which refers to its roots, and those `roots` that the environment
    does not give."""
    roots = resolved(config.get("roots") or OmegaConf.create())
    referring = OmegaConf.merge(config, {"roots": {name: reference(name) for name in roots}})
    return {
        "data": resolved(referring.data),
        "roots": {name: root for name, root in roots.items() if "${" not in str(root)},
    }


def _trainer(config: DictConfig, folder: Path, loggers: list[Logger]) -> pl.Trainer:
    callbacks = [StepSeed(config.seed), *_built(config.callbacks)]
    return build(
        config.trainer,
        default_root_dir=str(folder),
        max_steps=config.schedule.steps,
        max_epochs=-1,
        gradient_clip_val=config.schedule.gradient_clip,
        val_check_interval=_batches_between_validations(config),
        check_val_every_n_epoch=None,
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicCheckpointIO()],
    )


def _batches_between_validations(config: DictConfig) -> int:
    """Short runs are validated too, at their end."""
    return min(config.schedule.val_interval, config.schedule.steps) * config.trainer.accumulate_grad_batches


def _built(group: DictConfig | None, **more: Any) -> list[Any]:
    """The objects of a group of several; null takes one out."""
    return [build(entry, **more) for entry in (group or {}).values() if entry is not None]


def _finish(loggers: list[Logger]) -> None:
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            wandb.finish()
