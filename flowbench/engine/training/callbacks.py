"""Callbacks that watch a training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.run.panels import sample_panel
from flowbench.io.image import write_image
from flowbench.models.base import as_flow_model, log_interval
from flowbench.report.panel import stack_panels
from flowbench.structures import FlowBatch


class TrainingProgress(RichProgressBar):
    """Counts the steps of the whole run: there are no epochs here."""

    @property
    def total_train_batches(self) -> int:
        return self.trainer.max_steps * self.trainer.accumulate_grad_batches

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: FlowBatch, batch_idx: int
    ) -> None:
        # A resumed run counts on from where it was.
        super().on_train_batch_end(trainer, pl_module, outputs, batch, trainer.fit_loop.total_batch_idx)

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class Throughput(Callback):
    """Logs train/pairs_per_second, over all processes, waiting for data included."""

    def __init__(self) -> None:
        self._since = 0.0
        self._pairs = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restart()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restart()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: FlowBatch, batch_idx: int
    ) -> None:
        self._pairs += len(batch) * trainer.world_size
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if stepped and trainer.global_step % log_interval(trainer) == 0:
            rate = self._pairs / (time.monotonic() - self._since)
            pl_module.log("train/pairs_per_second", rate, prog_bar=True, batch_size=len(batch))
            self._restart()

    def _restart(self) -> None:
        self._since, self._pairs = time.monotonic(), 0


class ValidationPictures(Callback):
    """After each validation, a panel of the same few validation samples: pictures, truth, flow, error.

    Written to pictures/ in the trainer's folder, and to TensorBoard and W&B where they are in use.
    """

    def __init__(self, *, samples: int = 4) -> None:
        self.samples = samples

    @rank_zero_only
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        validation = FlowDataModule.of(trainer).split("val")["val"]
        model, chosen = as_flow_model(pl_module), range(min(self.samples, len(validation)))
        panel = stack_panels([sample_panel(model, validation[index], rows=1) for index in chosen])
        write_image(Path(trainer.default_root_dir) / "pictures" / f"step_{trainer.global_step:07d}.png", panel)
        for logger in trainer.loggers:
            _show(logger, panel, trainer.global_step)


def _show(logger: Any, panel: np.ndarray, step: int) -> None:
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image("val/pictures", panel, step, dataformats="HWC")
    elif isinstance(logger, WandbLogger):
        import wandb

        # W&B's own step grows with every call: the training step goes along as a value instead.
        logger.experiment.log({"val/pictures": wandb.Image(panel), "trainer/global_step": step})


class StepSeed(Callback):
    """Seeds PyTorch from (seed, step, process, part of the step) before each batch: what a network draws does not depend on
    the past. A step has several parts where gradients are accumulated."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        part = batch_idx % trainer.accumulate_grad_batches
        words = np.random.SeedSequence((self.seed, trainer.global_step, trainer.global_rank, part)).generate_state(1)
        torch.manual_seed(int(words[0]))
