"""The exponential moving average of the weights over training."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EMAWeightAveraging

from flowbench.errors import FlowBenchError


class MovingAverage(EMAWeightAveraging):
    """Validates and saves the average as the weights, and the raw weights beside it, as `current_model_state`.

    Args:
        decay: Share of the old average that each step keeps, from 0 to 1, such as 0.999.
    """

    def __init__(self, decay: float) -> None:
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 < decay < 1:
            raise FlowBenchError(f"schedule.ema={decay}: a decay between 0 and 1, such as 0.999, or null, is needed.")
        super().__init__(decay=decay)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leaves the raw weights where they are: the last checkpoint, which is written next, holds both."""
