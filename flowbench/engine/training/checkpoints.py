"""The two checkpoints of a run, in the folder checkpoints/ of the trainer's own."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from flowbench.engine.run.folder import BEST, LAST, PREVIOUS
from flowbench.engine.run.interruption import Interrupted, StopBetweenSteps, end_at_once
from flowbench.engine.training.csv_logger import CSVMetrics
from flowbench.errors import FlowBenchError
from flowbench.io.atomic import kept_as
from flowbench.metrics import FlowMetrics
from flowbench.models.base import as_flow_model


class BestCheckpoint(Checkpoint):
    """Saves best.ckpt whenever a validation gives a smaller `monitor` than every one before.

    Raises FlowBenchError for a monitor that no validation can give before the first step, and for one that this data does
    not give at the first validation.
    """

    def __init__(self, *, monitor: str) -> None:
        self.monitor = monitor
        self.score = math.inf

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        names = [*(f"val/{name}" for name in FlowMetrics.NAMES), *as_flow_model(pl_module).validation_figures]
        if self.monitor not in names:
            raise FlowBenchError(self._refusal(names))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.monitor not in trainer.callback_metrics:
            raise FlowBenchError(self._refusal([name for name in trainer.callback_metrics if name.startswith("val/")]))
        score = float(trainer.callback_metrics[self.monitor])
        if score < self.score:
            self.score = score
            trainer.save_checkpoint(Path(trainer.default_root_dir) / BEST)

    def _refusal(self, names: list[str]) -> str:
        return (
            f"callbacks.best.monitor={self.monitor} is no metric of this run's validation: choose one of "
            f"{', '.join(sorted(names))}."
        )

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.score = state_dict["score"]


class LastCheckpoint(Checkpoint):
    """Saves last.ckpt every few steps, at the end, and where a signal ends the run, which it then does.

    A run that resumes from it goes on as if it had never stopped. It is saved before a step rather than after one: only
    then are the metrics of the step before written and its validation, where one was due, is over. The one before is kept
    as previous.ckpt. Both say how many processes train: another number would see other pairs.

    Args:
        every_n_train_steps: Steps between two of them.
        every_n_minutes: Where given, minutes after which one is due as well; processes then agree on it at every step.
    """

    def __init__(self, *, every_n_train_steps: int, every_n_minutes: float | None = None) -> None:
        self.every_n_train_steps = every_n_train_steps
        self.every_n_minutes = every_n_minutes
        self._saved_step = 0
        self._saved_at = 0.0
        self._processes = 1
        self._stop: StopBetweenSteps | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._processes = trainer.world_size

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self._stop = StopBetweenSteps()
        loop = trainer.fit_loop.epoch_loop
        if loop.restarting:
            # Lightning guesses where within a step a run was stopped; this one was stopped before a step.
            loop.batch_progress.total.ready = loop.batch_progress.total.completed
            loop.restarting = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx % trainer.accumulate_grad_batches:
            return
        signum = None if self._stop is None else self._stop.signum()
        if signum or trainer.global_step % self.every_n_train_steps == 0 or self._is_time(trainer):
            self._save(trainer)
        if signum:
            raise Interrupted(signum, step=trainer.global_step)

    def _is_time(self, trainer: pl.Trainer) -> bool:
        if self.every_n_minutes is None:
            return False
        return trainer.strategy.broadcast(time.monotonic() - self._saved_at >= 60 * self.every_n_minutes)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)
        if self._stop is not None:
            self._stop.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        end_at_once()

    def state_dict(self) -> dict[str, Any]:
        return {"processes": self._processes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["processes"] != self._processes:
            raise FlowBenchError(
                f"The run was trained by {state_dict['processes']} processes and is resumed by {self._processes}, which "
                f"would see other pairs: resume it with {state_dict['processes']}, or start a new run from the weights "
                "with init=<checkpoint>."
            )

    def _save(self, trainer: pl.Trainer) -> None:
        if trainer.global_step == self._saved_step:
            return
        # The rows first: whatever the checkpoint has seen is then in metrics.csv, even if the run is killed in between.
        for logger in trainer.loggers:
            if isinstance(logger, CSVMetrics):
                logger.write()
        folder = Path(trainer.default_root_dir)
        if trainer.is_global_zero:
            kept_as(folder / LAST, folder / PREVIOUS)
        trainer.save_checkpoint(folder / LAST)
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
