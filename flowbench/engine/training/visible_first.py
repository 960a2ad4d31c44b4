"""Supervision of visible pixels alone in the first part of training."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from flowbench.errors import FlowBenchError
from flowbench.schedules import TimedOneCycle
from flowbench.structures import FlowBatch


class VisibleFirst(Callback):
    """Marks occluded pixels as without ground truth until a share of the run is over.

    What image 2 does not show can only be guessed, which a network learns last.

    Args:
        share: Share of the run, from 0 to 1, by steps or, where the schedule has one, by the clock.
    """

    def __init__(self, share: float) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise FlowBenchError(f"schedule.visible_first={share}: a share of the run from 0 to 1 is needed.")
        self.share = share

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: FlowBatch, batch_idx: int
    ) -> None:
        if _progress(trainer) >= self.share:
            return
        if batch.occluded is None:
            raise FlowBenchError(
                f"schedule.visible_first={self.share}, but the data does not say which pixels are occluded "
                f"({batch.key[0]}): set schedule.visible_first=null, or train on data that does."
            )
        batch.valid = batch.valid & ~batch.occluded


def _progress(trainer: pl.Trainer) -> float:
    by_clock = [c.scheduler.progress for c in trainer.lr_scheduler_configs if isinstance(c.scheduler, TimedOneCycle)]
    return max([trainer.global_step / trainer.max_steps, *by_clock])
