"""Messages on pairs that could not be read and were skipped (data.on_error=skip)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from flowbench.data.datamodule import FlowDataModule
from flowbench.engine.run.gathering import from_all_processes
from flowbench.engine.run.rank import is_first_process
from flowbench.models.base import log_interval
from flowbench.structures import FlowBatch

log = logging.getLogger(__name__)
FILE = "skipped.txt"


class SkippedPairs(Callback):
    """Writes what is wrong with each pair into the run's skipped.txt, and warns of it, once; logs train/skipped_pairs, how
    often one was passed over so far, in all processes, and val/skipped_pairs, how many were in one validation."""

    def __init__(self) -> None:
        self._count = 0
        self._printed: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """Saving is done by all processes at once."""
        shares = from_all_processes((self._count, self._printed))
        return {
            "count": sum(count for count, _ in shares),
            "printed": sorted(set().union(*(printed for _, printed in shares))),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._count = state["count"] if is_first_process() else 0
        self._printed = set(state["printed"] if "printed" in state else state["told"])

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for message in FlowDataModule.of(trainer).skipped if trainer.is_global_zero else ():
            self._print(trainer, f"(validation) {message}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: FlowBatch, batch_idx: int
    ) -> None:
        self._count += len(batch.skipped)
        if FlowDataModule.of(trainer).on_error == "skip":
            pl_module.log("train/skipped_pairs", self._total(trainer), reduce_fx="max")
        for message in batch.skipped:
            self._print(trainer, message)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: FlowBatch, *_: Any
    ) -> None:
        if FlowDataModule.of(trainer).on_error == "skip":
            skipped = float(len(batch.skipped))
            pl_module.log("val/skipped_pairs", skipped, reduce_fx="sum", sync_dist=True, batch_size=len(batch))
        for message in batch.skipped:
            self._print(trainer, f"(validation) {message}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._count:
            log.warning(
                "Unreadable pairs were skipped %d times; %s lists what is wrong with them.",
                self._count,
                Path(trainer.default_root_dir) / FILE,
            )

    def _total(self, trainer: pl.Trainer) -> float:
        """Over all processes at the steps that are logged; elsewhere nobody reads it."""
        if trainer.global_step % log_interval(trainer):
            return float(self._count)
        return float(sum(from_all_processes(self._count)))

    def _print(self, trainer: pl.Trainer, message: str) -> None:
        if message in self._printed:
            return
        self._printed.add(message)
        log.warning("Skipped a pair that cannot be read: %s", message)
        with (Path(trainer.default_root_dir) / FILE).open("a", encoding="utf-8") as file:
            file.write(f"{message}\n")
