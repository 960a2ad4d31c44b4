"""What is told of training pairs that could not be read and were passed over (data.on_error=skip)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from flowbench.structures import FlowBatch

log = logging.getLogger(__name__)
FILE = "skipped.txt"


class SkippedPairs(Callback):
    """Writes what is wrong with each pair into the run's skipped.txt, and warns of it, once; logs train/skipped_pairs, how
    often one was passed over so far, in the first process."""

    def __init__(self) -> None:
        self._count = 0
        self._told: set[str] = set()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: FlowBatch, batch_idx: int
    ) -> None:
        self._count += len(batch.skipped)
        if trainer.datamodule.on_error == "skip":
            pl_module.log("train/skipped_pairs", float(self._count), reduce_fx="max")
        for message in dict.fromkeys(batch.skipped):
            if message not in self._told:
                self._told.add(message)
                log.warning("Skipped a pair that cannot be read: %s", message)
                self._append(Path(trainer.default_root_dir) / FILE, message)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._count:
            log.warning(
                "%d times an unreadable pair was skipped; the %d that are concerned are listed in %s.",
                self._count,
                len(self._told),
                Path(trainer.default_root_dir) / FILE,
            )

    @staticmethod
    def _append(path: Path, message: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{message}\n")
