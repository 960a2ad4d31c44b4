"""The two checkpoints of a run, in the folder checkpoints/ of the trainer's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from flowbench.engine.csv_logger import CSVMetrics
from flowbench.engine.run_folder import BEST, LAST


class BestCheckpoint(Checkpoint):
    """Saves best.ckpt whenever a validation gives a smaller `monitor` than every one before."""

    def __init__(self, *, monitor: str) -> None:
        self.monitor = monitor
        self.score = math.inf

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = float(trainer.callback_metrics.get(self.monitor, math.inf))
        if score < self.score:
            self.score = score
            trainer.save_checkpoint(Path(trainer.default_root_dir) / BEST)

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.score = state_dict["score"]


class LastCheckpoint(Checkpoint):
    """Saves last.ckpt every few steps and at the end; a run that resumes from it goes on as if it had never stopped.

    It is saved before a step rather than after one: only then are the metrics of the step before written and its
    validation, where one was due, is over.
    """

    def __init__(self, *, every_n_train_steps: int) -> None:
        self.every_n_train_steps = every_n_train_steps
        self._saved_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_step = trainer.global_step
        loop = trainer.fit_loop.epoch_loop
        if loop.restarting:
            # Lightning guesses where within a step a run was stopped; this one was stopped before a step.
            loop.batch_progress.total.ready = loop.batch_progress.total.completed
            loop.restarting = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every_n_train_steps == 0:
            self._save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        if trainer.global_step == self._saved_step:
            return
        # The rows first: whatever the checkpoint has seen is then in metrics.csv, even if the run is killed in between.
        for logger in trainer.loggers:
            if isinstance(logger, CSVMetrics):
                logger.write()
        trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST)
        self._saved_step = trainer.global_step
