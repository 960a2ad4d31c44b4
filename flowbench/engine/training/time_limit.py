"""The clock of a run that ends after a given time."""

from __future__ import annotations

import math
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from flowbench.errors import FlowBenchError
from flowbench.schedules import TimedOneCycle


class TimeLimit(Callback):
    """Tells the learning rate how late it is, and ends training when the time is over.

    Time counts from the first step, with validations; a resumed run goes on from the time that its checkpoint remembers.

    Args:
        hours: Time allowed for the whole run.

    Raises:
        FlowBenchError: The schedule's rate does not follow the clock, or a resumed run has used its time up.
    """

    def __init__(self, hours: float) -> None:
        # A bool is a number to Python, and no duration to a user.
        if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours < math.inf:
            raise FlowBenchError(f"schedule.hours={hours}: a number of hours above zero, or null, is needed.")
        self.hours = hours
        self._spent_before = 0.0
        self._since = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self._spent_before + time.monotonic() - self._since

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._spent_before >= 3600 * self.hours:
            raise FlowBenchError(
                f"The run in '{trainer.default_root_dir}' has used its {self.hours:g} hours: to train further, start a new "
                "run from its weights with init=<checkpoint>."
            )
        self._since = time.monotonic()
        _ = self._schedulers(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        elapsed = self.elapsed
        if trainer.world_size > 1:
            # All processes must take the same rate, and stop at the same step.
            elapsed = trainer.strategy.broadcast(elapsed)
        for scheduler in self._schedulers(trainer):
            scheduler.elapsed = elapsed

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if all(scheduler.elapsed >= 3600 * self.hours for scheduler in self._schedulers(trainer)):
            trainer.should_stop = True

    def _schedulers(self, trainer: pl.Trainer) -> list[TimedOneCycle]:
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        timed = [scheduler for scheduler in schedulers if isinstance(scheduler, TimedOneCycle)]
        if len(timed) < len(schedulers):
            raise FlowBenchError(
                f"schedule.hours={self.hours:g}, but this schedule's rate does not follow the clock: choose a schedule that "
                "is built on one_cycle, or leave schedule.hours out."
            )
        return timed

    def state_dict(self) -> dict[str, Any]:
        return {"elapsed": self.elapsed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._spent_before = state_dict["elapsed"]
